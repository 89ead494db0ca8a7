import { describe, expect, test } from '@jest/globals';
import { LOCALES, type Locale, type OrderState, type UserState } from '../../../shared/events/states.js';
import { newId } from '../../../shared/ids/ids.js';
import { Composer, type Mail } from './compose.js';
import { MAIL_KINDS, type MailData, type MailKind } from './kinds.js';
import { rowFor } from './mails.js';
import { orderOf, person, SENDER, TOKENS } from './testing.js';

const AT = Date.UTC(2026, 10, 21, 19, 40);
const composer = new Composer({ settings: { from: SENDER, publicUrl: 'https://shop.example' }, tokens: TOKENS });
const record = { topic: 'orders', key: 'k', value: '', headers: {}, partition: 0, offset: 0, timestamp: AT };

const orderFor: Partial<Record<MailKind, Partial<OrderState>>> = {
  PAYMENT_RECEIPT: {
    status: 'PAID',
    payment: { paymentId: 'p', method: 'PIX', accountId: null, status: 'COMPLETED', reference: null },
  },
  CANCELLATION: { status: 'CANCELED', cancelReason: 'I changed my mind' },
  EXPIRY: { status: 'CANCELED', cancelReason: 'PAYMENT_EXPIRED' },
};

function compose(kind: MailKind, user: UserState, change: Partial<OrderState> = {}): Mail {
  const order = orderOf(user.id, { ...orderFor[kind], ...change });
  const data: MailData =
    kind === 'VERIFICATION'
      ? { verification: { id: newId(), expiresAt: AT } }
      : kind === 'REMINDER'
        ? { order, reminder: { number: 2, expiresAt: AT } }
        : { order };
  const orderId = data.order?.id ?? null;
  return composer.compose(rowFor({ kind, userId: user.id, orderId, data }, { eventId: newId(), record, at: AT }), user);
}

const every = MAIL_KINDS.flatMap((kind) => LOCALES.map((locale): [MailKind, Locale] => [kind, locale]));

describe.each(every)('%s in %s', (kind, locale) => {
  const user = person({ locale, name: 'João da Silva' });
  const mail = compose(kind, user);

  test('has subject, text and HTML that say the same, each with a greeting', () => {
    expect(mail.subject).toMatch(/\S/);
    expect(mail.subject).not.toMatch(/[\r\n]/);
    for (const body of [mail.text, mail.html]) {
      expect(body).toContain(mail.subject);
      expect(body).toContain(locale === 'EN' ? 'Hello João da Silva,' : 'Olá, João da Silva!');
      expect(body).not.toMatch(/undefined|null|NaN|\[object/);
    }
    expect(mail.html).toContain(`<html lang="${locale === 'EN' ? 'en-US' : 'pt-BR'}">`);
  });

  test('fetches nothing, runs nothing, and is readable in the dark', () => {
    expect(mail.html).not.toMatch(/<(?:img|script|link|iframe|form|object|video)\b|url\(|@import|\bon\w+=|src=/i);
    expect(mail.html).toContain('prefers-color-scheme: dark');
    expect(mail.html).toContain('name="color-scheme" content="light dark"');
    const links = [...mail.html.matchAll(/<a [^>]*>/g)].map(([link]) => link);
    for (const link of links) {
      expect(link).toContain('href="https://shop.example/');
      expect(link).toContain('target="_blank" rel="noopener noreferrer"');
    }
  });

  test('every element that is opened is closed', () => {
    const open: string[] = [];
    for (const [, end, name = ''] of mail.html.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*>/g)) {
      if (['meta', 'br'].includes(name)) continue;
      if (end === '/') expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
  });

  test('writes amounts for the locale, and what people named is never markup', () => {
    if (kind === 'VERIFICATION') return;
    const total = locale === 'EN' ? 'R$6,010.49' : 'R$\u00A06.010,49';
    const line = locale === 'EN' ? 'R$10.50' : 'R$\u00A010,50';
    for (const body of [mail.html, mail.text]) {
      expect(body).toContain(total);
      expect(body).toContain(line);
    }
    expect(mail.html).toContain('3 × Tea &lt;b&gt;&amp; milk&lt;/b&gt;');
    expect(mail.html).not.toContain('<b>');
    expect(mail.text).toContain('3 × Tea <b>& milk</b>');
  });

  test('is the same every time it is made', () => {
    const data: MailData =
      kind === 'VERIFICATION' ? { verification: { id: newId(), expiresAt: AT } } : { order: orderOf(user.id) };
    const row = rowFor({ kind, userId: user.id, orderId: null, data }, { eventId: newId(), record, at: AT });
    expect(composer.compose(row, user)).toEqual(composer.compose(row, user));
  });
});

test('times are written for the locale, and say their zone', () => {
  expect(compose('REMINDER', person({ locale: 'EN' })).text).toMatch(/November 21, 2026 at 7:40\sPM UTC/);
  expect(compose('REMINDER', person({ locale: 'PT' })).text).toContain('21 de novembro de 2026 às 19:40 UTC');
});

test('the two languages share no sentence', () => {
  const sentences = (mail: Mail) => new Set(mail.text.split('\n').filter((line) => /[a-z] [a-z]/.test(line)));
  for (const kind of MAIL_KINDS) {
    const [en, pt] = LOCALES.map((locale) => sentences(compose(kind, person({ locale, name: '' }))));
    expect([...(en ?? [])].filter((line) => pt?.has(line) === true && !/iPhone|Tea/.test(line))).toEqual([]);
  }
});

test('the link of a verification has a token of ours, and nothing else of the mail has', () => {
  const mail = compose('VERIFICATION', person());
  const [, token = ''] = /https:\/\/shop\.example\/verify\?token=(\S+)/.exec(mail.text) ?? [];
  expect(TOKENS.idIn(decodeURIComponent(token))).toMatch(/^[0-9a-f-]{36}$/);
  expect(mail.subject + mail.messageId).not.toContain(token);
});

test('a cancellation says what comes back: what was paid, or that nothing was', () => {
  const payment = { paymentId: 'p', method: 'PIX', accountId: null, status: 'COMPLETED', reference: null } as const;
  expect(compose('CANCELLATION', person(), { payment }).text).toContain('You get back the R$6,010.49 that you paid');
  const failed = { ...payment, status: 'FAILED' } as const;
  for (const none of [null, failed]) {
    expect(compose('CANCELLATION', person(), { payment: none }).text).toContain('You have paid nothing for it.');
  }
  const empty = compose('CANCELLATION', person(), { cancelReason: 'INSUFFICIENT_STOCK' });
  expect(empty.text).toContain('not enough left');
});

test('what somebody wrote as a reason stands in no mail', () => {
  const mail = compose('CANCELLATION', person(), { cancelReason: 'see https://evil.example' });
  expect(mail.html + mail.text).not.toContain('evil');
});

test.each([
  'Win a prize at https://evil.example',
  'call 0800 123 4567 now',
  'evil.example',
  '<script>alert(1)</script>',
  'ana@bank.example',
  'x'.repeat(200),
  '\u202Eevil\u2028line',
])('a stranger who registers as %j is greeted by no name, or by a harmless one', (name) => {
  const { html, text } = compose('VERIFICATION', person({ name }));
  expect(html + text).not.toMatch(/evil\.example|0800|<script|@bank|x{100}|[\u202E\u2028]/);
});
