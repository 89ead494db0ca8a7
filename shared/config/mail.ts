/** How people are written to. */
export interface MailSettings {
  /** Where mail is handed in: `smtp://user:password@host:587`, `smtps://`; undefined: nowhere. */
  readonly smtpUrl: string | undefined;
  readonly from: MailSender;
  /** Where people reach the gateway, without a slash at the end; links in mails begin with it. */
  readonly publicUrl: string;
}

export interface MailSender {
  /** '' for an address alone. */
  readonly name: string;
  readonly address: string;
}

export interface MailEnvironment {
  readonly SMTP_URL?: string | undefined;
  readonly MAIL_FROM: string;
  readonly PUBLIC_URL?: string | undefined;
}

/** `gatewayUrl` stands in for a PUBLIC_URL that is not set. */
export function mailOf(e: MailEnvironment, gatewayUrl: string): MailSettings {
  return {
    smtpUrl: e.SMTP_URL,
    from: senderIn(e.MAIL_FROM) ?? { name: '', address: e.MAIL_FROM },
    publicUrl: (e.PUBLIC_URL ?? gatewayUrl).replace(/\/+$/, ''),
  };
}

/** `Shop <no-reply@shop.example>`, or the address alone; no control characters, which could begin another header. */
const SENDER = /^(?:([^<>"\p{Cc}]+?) *<([^\s<>@\p{Cc}]+@[^\s<>@\p{Cc}]+)>|([^\s<>@\p{Cc}]+@[^\s<>@\p{Cc}]+))$/u;

function senderIn(value: string): MailSender | undefined {
  const [whole, name = '', named, alone] = SENDER.exec(value.trim()) ?? [];
  return whole === undefined ? undefined : { name: name.trim(), address: named ?? alone ?? '' };
}

/** What is wrong with MAIL_FROM; undefined when nothing is. */
export const wrongMailSender = (value: string): string | undefined =>
  senderIn(value) === undefined ? 'must be an address, for example Shop <no-reply@shop.example>' : undefined;

/** What is wrong with SMTP_URL. It may hold a password, so no message repeats it. */
export function wrongSmtpUrl(value: string): string | undefined {
  const sound = /^smtps?:\/\//.test(value) && URL.canParse(value) && new URL(value).hostname !== '';
  return sound ? undefined : 'must be an address of a mail server, for example smtp://user:password@mail.example:587';
}

/** What is wrong with PUBLIC_URL. */
export function wrongPublicUrl(value: string): string | undefined {
  if (URL.canParse(value)) {
    const { protocol, username, password, search, hash } = new URL(value);
    if (/^https?:$/.test(protocol) && [username, password, search, hash].every((part) => part === '')) return undefined;
  }
  return 'must be where people reach the gateway, for example https://shop.example';
}
