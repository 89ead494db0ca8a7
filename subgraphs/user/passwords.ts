import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { AppError, validationError } from '../../shared/errors/errors.js';

const SHORTEST = 8;
const LONGEST = 128;
/** In UTF-16 units, and before letters are composed, of which several may become one. */
const LONGEST_GIVEN = 8 * LONGEST;

/** Cost of scrypt (RFC 7914). Memory is 128 * n * r bytes. */
export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** What OWASP's Password Storage Cheat Sheet asks for at 32 MiB; about a quarter of a second. */
export const CURRENT_COST: ScryptCost = { n: 32_768, r: 8, p: 3 };

const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** Hashes computed at a time: more would only take the threads and the memory of everything else. */
const AT_ONCE = 2;
/** Hashes that wait for their turn, some seconds' worth. */
const MAX_WAITING = 32;

/**
 * The password as it is hashed, in Unicode's compatibility form (NFKC): the same keys give different characters on different
 * machines. Any characters will do, spaces too; only the length counts.
 * @throws AppError VALIDATION
 */
export function parsePassword(given: string, field: string): string {
  // Not normalised at any length: the form may be 18 times as long as what was given.
  if (given.length > LONGEST_GIVEN) throw tooLong(field);
  const password = given.normalize('NFKC');
  const length = [...password].length;
  if (length < SHORTEST) throw validationError(field, `A password has at least ${SHORTEST} characters.`);
  if (length > LONGEST) throw tooLong(field);
  return password;
}

const tooLong = (field: string): AppError => validationError(field, `A password has at most ${LONGEST} characters.`);

/** Passwords as scrypt hashes, each with its own salt and the cost it was made at. */
export class Passwords {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private dummy: Promise<string> | undefined;

  constructor(private readonly cost: ScryptCost = CURRENT_COST) {}

  /** `scrypt$n$r$p$salt$hash`; two hashes of a password differ. @throws AppError RATE_LIMITED as below. */
  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT_BYTES);
    const { n, r, p } = this.cost;
    const hash = await this.derive(password, salt, HASH_BYTES, this.cost);
    return ['scrypt', n, r, p, salt.toString('base64url'), hash.toString('base64url')].join('$');
  }

  /**
   * Whether the hash is of this password. Without a hash the answer is no, after as much work as with one: how long it
   * takes does not tell who has a login.
   * @throws AppError RATE_LIMITED, with `retryAfter` in seconds, when too many wait for theirs.
   */
  async matches(given: string, stored: string | undefined): Promise<boolean> {
    const { cost, salt, hash } = read(stored ?? (await this.dummyHash()));
    const password = given.slice(0, LONGEST_GIVEN + 1).normalize('NFKC');
    // A unit more than any password has, so that none is taken for what goes on behind it.
    const derived = await this.derive(password.slice(0, 2 * LONGEST + 1), salt, hash.length, cost);
    return timingSafeEqual(derived, hash) && stored !== undefined;
  }

  /** Whether the hash was made at another cost than new ones are. */
  isOutdated(stored: string): boolean {
    const { n, r, p } = read(stored).cost;
    return n !== this.cost.n || r !== this.cost.r || p !== this.cost.p;
  }

  private dummyHash(): Promise<string> {
    // One that failed is tried again.
    this.dummy ??= this.hash(randomBytes(SALT_BYTES).toString('hex')).catch((error: unknown) => {
      this.dummy = undefined;
      throw error;
    });
    return this.dummy;
  }

  private async derive(password: string, salt: Buffer, length: number, { n, r, p }: ScryptCost): Promise<Buffer> {
    await this.turn();
    try {
      return await new Promise((resolve, reject) => {
        const options = { N: n, r, p, maxmem: 256 * n * r };
        scrypt(password, salt, length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
      });
    } finally {
      this.running--;
      this.waiting.shift()?.();
    }
  }

  private async turn(): Promise<void> {
    if (this.running >= AT_ONCE) {
      if (this.waiting.length >= MAX_WAITING) {
        throw new AppError('RATE_LIMITED', 'Too many people log in at once; try again in a moment.', {
          details: { retryAfter: 1 },
        });
      }
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    this.running++;
  }
}

function read(stored: string): { readonly cost: ScryptCost; readonly salt: Buffer; readonly hash: Buffer } {
  const [kind, n, r, p, salt, hash] = stored.split('$');
  if (kind !== 'scrypt' || salt === undefined || hash === undefined) throw new Error('This is no hash of ours.');
  return {
    cost: { n: Number(n), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
  };
}
