import type { MailSender, MailSettings } from '../../../shared/config/mail.js';
import type { UserState } from '../../../shared/events/states.js';
import type { VerificationTokens } from '../verification-tokens.js';
import { instant, LANGUAGES, money, orderNumber } from './format.js';
import type { MailData } from './kinds.js';
import { dataOf, type MailRow } from './mails.js';
import { flat, greetable } from './names.js';
import { toHtml, toText, type Parts } from './render.js';
import { TEXTS, type Facts } from './texts.js';

/** A mail as it goes out. It holds the address, and in a verification the token: never stored, never logged. */
export interface Mail {
  /** The event that it is about. */
  readonly eventId: string;
  readonly kind: MailRow['kind'];
  /** The same however often it is made for one event: `<event-id@domain>`. */
  readonly messageId: string;
  readonly from: MailSender;
  readonly to: { readonly name: string; readonly address: string };
  /** Milliseconds since the epoch: when it was asked for, not when it is sent. */
  readonly date: number;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface ComposerOptions {
  readonly settings: Pick<MailSettings, 'from' | 'publicUrl'>;
  readonly tokens: Pick<VerificationTokens, 'tokenOf'>;
}

/** Makes mails of rows, as often as they are needed, always the same of the same. */
export class Composer {
  constructor(private readonly options: ComposerOptions) {}

  compose(row: MailRow, user: UserState): Mail {
    const { from } = this.options.settings;
    const parts = this.parts(row, user);
    return {
      eventId: row.event_id,
      kind: row.kind,
      messageId: `<${row.event_id}@${domainOf(from.address)}>`,
      from,
      to: { name: user.name, address: user.email },
      date: row.requested_at,
      subject: parts.subject,
      text: toText(parts),
      html: toHtml(parts),
    };
  }

  private parts(row: MailRow, { name, locale }: UserState): Parts {
    const { from } = this.options.settings;
    const data = dataOf(row);
    const { order } = data;
    const texts = TEXTS[locale];
    const shop = from.name === '' ? domainOf(from.address) : from.name;
    const expiresAt = data.verification?.expiresAt ?? data.reminder?.expiresAt ?? null;
    const facts: Facts = {
      shop,
      order: order === undefined ? '' : orderNumber(order.id),
      total: money(order?.total ?? 0, locale),
      expires: expiresAt === null ? null : instant(expiresAt, locale),
      cancelReason: order?.cancelReason ?? null,
      paying: order?.payment?.status === 'WAITING_FOR_STOCK' || order?.payment?.status === 'REQUESTED',
      paid: order?.payment?.status === 'COMPLETED',
    };
    const { subject, paragraphs, action, notes = [] } = texts.kinds[row.kind](facts);
    return {
      language: LANGUAGES[locale],
      shop,
      subject,
      greeting: texts.greeting(greetable(name)),
      paragraphs,
      lines: (order?.items ?? []).map(({ name: product, quantity, unitPrice }) => ({
        what: `${quantity} × ${flat(product)}`,
        amount: money(quantity * unitPrice, locale),
      })),
      total: order === undefined ? null : { what: texts.total, amount: facts.total },
      action: action === undefined ? null : { label: action, url: this.urlOf(data), orOpen: texts.orOpen },
      notes: [...notes, ...(order === undefined ? [] : [`${texts.orderId}: ${order.id}`]), texts.because(shop)],
    };
  }

  private urlOf({ verification, order }: MailData): string {
    const { settings, tokens } = this.options;
    return verification === undefined
      ? `${settings.publicUrl}/live#order=${encodeURIComponent(order?.id ?? '')}`
      : `${settings.publicUrl}/verify?token=${encodeURIComponent(tokens.tokenOf(verification.id))}`;
  }
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);
