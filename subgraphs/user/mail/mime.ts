import type { Mail } from './compose.js';
import { displayName, greetable, isAddress } from './names.js';

/** Nobody can be reached there, and it could be read as more than one address. */
export class UnusableAddress extends Error {
  override readonly name = 'UnusableAddress';
  constructor() {
    super('The address of the user cannot be written to.');
  }
}

/**
 * The mail in the format of the Internet (RFC 5322), byte for byte the same for the same mail. Names are encoded or quoted,
 * so that none of them can begin a header or name another recipient.
 * @throws UnusableAddress
 */
export async function encode(mail: Mail): Promise<Buffer> {
  if (!isAddress(mail.to.address)) throw new UnusableAddress();
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer');
  const { eventId, kind, messageId, date, subject, text, html } = mail;
  const domain = messageId.slice(messageId.lastIndexOf('@') + 1, -1);
  return new MailComposer({
    from: { name: displayName(mail.from.name), address: mail.from.address },
    // Shown as largely as the subject, so no more may stand there than in the greeting.
    to: { name: displayName(greetable(mail.to.name)), address: mail.to.address },
    subject,
    text,
    html,
    date: new Date(date),
    messageId,
    headers: {
      // Sorts and filters by what it is about; no mailing list that could be left.
      'List-Id': `<${kind.toLowerCase().replaceAll('_', '-')}.${domain}>`,
      // Tells repeats of one mail from other mails with the same subject.
      'X-Entity-Ref-ID': eventId,
      // No answering machine needs to answer it (RFC 3834).
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'All',
    },
    baseBoundary: eventId,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
    .compile()
    .build();
}
