import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { isId } from '../../shared/ids/ids.js';

/**
 * What the link in a verification mail carries: the id of a verification and an HMAC-SHA256 of it, `<id>.<base64url>`.
 * Ids are in events and tables, so an id alone opens nothing; the token is made when a mail is composed and is kept nowhere.
 */
export class VerificationTokens {
  private readonly key: Buffer;

  /** Whoever has the secret can confirm anybody's address. Other uses of the same secret have keys of their own. */
  constructor(secret: string) {
    this.key = Buffer.from(hkdfSync('sha256', secret, '', 'tributary verification tokens', 32));
  }

  /** The same every time it is asked for. */
  tokenOf(id: string): string {
    return `${id}.${this.signatureOf(id).toString('base64url')}`;
  }

  /** The id in a token of ours; null for anything else. Compared in constant time. */
  idIn(token: string): string | null {
    const [id = '', signature = ''] = token.split('.', 2);
    if (!isId(id)) return null;
    // The spelling too: a token has one, so that nobody can make two of one.
    const expected = Buffer.from(this.signatureOf(id).toString('base64url'));
    const given = Buffer.from(signature);
    const same = given.length === expected.length && timingSafeEqual(given, expected);
    return same && token.length === id.length + 1 + signature.length ? id : null;
  }

  private signatureOf(id: string): Buffer {
    return createHmac('sha256', this.key).update(id).digest();
  }
}
