import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import type { Database } from '../../shared/database/port.js';
import { AppError } from '../../shared/errors/errors.js';
import type { Role } from '../../shared/events/states.js';
import {
  JWKS_MAX_AGE_MS,
  TOKEN_ALGORITHM,
  TOKEN_AUDIENCE,
  TOKEN_ISSUER,
  TOKEN_TYPE,
} from '../../shared/identity/tokens.js';
import { newId } from '../../shared/ids/ids.js';
import type { Logger } from '../../shared/observability/logger.js';

/** What this process knows of the keys is read anew after this long. */
const REREAD_MS = 10_000; // 10 seconds

/** A key is published that long before it signs: longer than anybody keeps the keys that were published. */
const LEAD_MS = 3 * JWKS_MAX_AGE_MS;

/** Clocks of processes may differ by this much. */
const CLOCK_SKEW_MS = 60_000; // 1 minute

export interface SigningKeysOptions {
  readonly database: Database;
  /** Encrypts the private keys in the database. */
  readonly secret: string;
  /** How long a key signs, in milliseconds. */
  readonly rotationMs: number;
  /** How long a token is good, in milliseconds. */
  readonly tokenTtlMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}

interface KeyRow {
  readonly number: number;
  readonly kid: string;
  readonly public_key: string;
  readonly private_key: string;
  readonly signs_from: number;
  readonly created_at: number;
}

interface Usable {
  readonly row: KeyRow;
  readonly privateKey: KeyObject;
}

/** A public key as it is published (RFC 7517, RFC 8037). */
export interface PublishedKey {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly alg: typeof TOKEN_ALGORITHM;
  readonly use: 'sig';
}

/**
 * The Ed25519 keys that access tokens are signed with. They live in the database, private parts encrypted, and all
 * processes agree on them: keys have numbers, and whoever inserts a number first has made that key.
 *
 * A key signs from its time on until the next one does. The next one is published well before it signs, and each stays
 * published until the last token that it signed has expired; then it is deleted.
 */
export class SigningKeys {
  private readonly sealing: Buffer;
  /** By key id; undefined for those that our secret does not open. */
  private readonly privateKeys = new Map<string, KeyObject | undefined>();
  private read: { readonly at: number; readonly rows: readonly KeyRow[] } | undefined;

  constructor(private readonly options: SigningKeysOptions) {
    this.sealing = Buffer.from(hkdfSync('sha256', options.secret, '', 'tributary signing keys', 32));
  }

  /** A token that says who somebody is, and until when, in milliseconds since the epoch. */
  async sign(user: { readonly id: string; readonly role: Role }): Promise<{ token: string; expiresAt: number }> {
    const { now, tokenTtlMs } = this.options;
    const { row, privateKey } = await this.signing();
    // Loaded when somebody logs in, not at every start.
    const { SignJWT } = await import('jose');
    // Tokens count in seconds.
    const issuedAt = Math.floor(now() / 1_000);
    const expiresAt = issuedAt + Math.max(1, Math.floor(tokenTtlMs / 1_000));
    const token = await new SignJWT({ role: user.role })
      .setProtectedHeader({ alg: TOKEN_ALGORITHM, typ: TOKEN_TYPE, kid: row.kid })
      .setIssuer(TOKEN_ISSUER)
      .setAudience(TOKEN_AUDIENCE)
      .setSubject(user.id)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expiresAt)
      .sign(privateKey);
    return { token, expiresAt: expiresAt * 1_000 };
  }

  /** Every key that a token in use may be signed with, and the one that comes next. */
  async published(): Promise<PublishedKey[]> {
    await this.signing();
    return (this.read?.rows ?? []).map(({ kid, public_key: x }) => ({
      kty: 'OKP',
      crv: 'Ed25519',
      x,
      kid,
      alg: TOKEN_ALGORITHM,
      use: 'sig',
    }));
  }

  /** Whether our secret opens the newest key; null where there is none yet. Makes and deletes nothing. */
  async opens(): Promise<boolean | null> {
    const [newest] = await this.options.database.read<KeyRow>(
      'SELECT * FROM signing_keys ORDER BY number DESC LIMIT 1',
    );
    return newest === undefined ? null : this.open(newest) !== undefined;
  }

  /** The key that signs now. Makes what is missing and deletes what nobody needs. */
  private async signing(): Promise<Usable> {
    const now = this.options.now();
    let rows = this.read !== undefined && now - this.read.at < REREAD_MS ? this.read.rows : await this.reread(now);
    let current = this.usable(rows).findLast(({ row }) => row.signs_from <= now);
    if (current === undefined) {
      rows = await this.add(rows, now);
      current = this.usable(rows).findLast(({ row }) => row.signs_from <= now);
    }
    if (current === undefined) throw new AppError('UNAVAILABLE', 'There is no key to sign with; try again shortly.');
    const rotates = current.row.signs_from + this.options.rotationMs;
    const hasNext = this.usable(rows).some((one) => one.row.signs_from > now);
    if (now >= rotates - this.lead && !hasNext) await this.add(rows, Math.max(rotates, now + this.lead));
    return current;
  }

  private get lead(): number {
    return Math.min(LEAD_MS, this.options.rotationMs / 2);
  }

  /** Those that our secret opens, in the order in which they sign. */
  private usable(rows: readonly KeyRow[]): Usable[] {
    return rows.flatMap((row) => {
      const privateKey = this.open(row);
      return privateKey === undefined ? [] : [{ row, privateKey }];
    });
  }

  private async reread(now: number): Promise<readonly KeyRow[]> {
    const { database, tokenTtlMs } = this.options;
    const rows = await database.read<KeyRow>('SELECT * FROM signing_keys ORDER BY number');
    const needed = rows.slice(
      rows.findIndex((_, index) => {
        const next = rows[index + 1];
        return next === undefined || next.signs_from + tokenTtlMs + CLOCK_SKEW_MS > now;
      }),
    );
    const first = needed[0];
    if (first !== undefined && needed.length < rows.length) {
      await database.transaction((tx) => tx.execute('DELETE FROM signing_keys WHERE number < ?', [first.number]));
    }
    this.read = { at: now, rows: needed };
    return needed;
  }

  /** One more key; somebody else's, if that one was faster. */
  private async add(rows: readonly KeyRow[], signsFrom: number): Promise<readonly KeyRow[]> {
    const { database, now, log } = this.options;
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const kid = newId();
    const row: KeyRow = {
      number: (rows.at(-1)?.number ?? 0) + 1,
      kid,
      public_key: String(publicKey.export({ format: 'jwk' }).x),
      private_key: this.seal(kid, privateKey),
      signs_from: signsFrom,
      created_at: now(),
    };
    const added = await database.transaction((tx) => tx.insertNew('signing_keys', ['number'], [{ ...row }]));
    if (added === 1) log.info({ kid, signsFrom: new Date(signsFrom).toISOString() }, 'new key for access tokens');
    return this.reread(now());
  }

  /** `iv.tag.ciphertext`, bound to the key's id. */
  private seal(kid: string, privateKey: KeyObject): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.sealing, iv).setAAD(Buffer.from(kid));
    const sealed = Buffer.concat([cipher.update(privateKey.export({ format: 'der', type: 'pkcs8' })), cipher.final()]);
    return [iv, cipher.getAuthTag(), sealed].map((part) => part.toString('base64url')).join('.');
  }

  /** The private key; undefined where it was encrypted under another secret: it can only verify from now on. */
  private open(row: KeyRow): KeyObject | undefined {
    if (this.privateKeys.has(row.kid)) return this.privateKeys.get(row.kid);
    const key = this.unseal(row);
    this.privateKeys.set(row.kid, key);
    if (key === undefined) this.options.log.info({ kid: row.kid }, 'a key under another AUTH_SECRET signs no more');
    return key;
  }

  private unseal({ kid, private_key }: KeyRow): KeyObject | undefined {
    const [iv, tag, sealed] = private_key.split('.').map((part) => Buffer.from(part, 'base64url'));
    if (iv === undefined || tag === undefined || sealed === undefined) return undefined;
    try {
      const cipher = createDecipheriv('aes-256-gcm', this.sealing, iv, { authTagLength: 16 });
      cipher.setAAD(Buffer.from(kid)).setAuthTag(tag);
      const der = Buffer.concat([cipher.update(sealed), cipher.final()]);
      return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    } catch {
      return undefined;
    }
  }
}
