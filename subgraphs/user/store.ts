import { placeholders, type Database, type Transaction } from '../../shared/database/port.js';
import { AppError } from '../../shared/errors/errors.js';
import { fold } from '../../shared/events/fold.js';
import type { EventData } from '../../shared/events/catalogue.js';
import type { Outbox } from '../../shared/outbox/outbox.js';
import { emailKey } from '../../shared/validation/text.js';
import { evolve, type Locale, type Obligations, type Role, type UserEvent, type UserState } from './user.js';

export interface UserRow {
  readonly id: string;
  readonly version: number;
  readonly name: string;
  readonly email: string;
  readonly email_key: string | null;
  readonly role: Role;
  readonly locale: Locale;
  readonly verified: number;
  readonly deleted: number;
  readonly created_at: number;
  readonly updated_at: number;
}

export const fromRow = ({ email_key: _, created_at, updated_at, verified, deleted, ...rest }: UserRow): UserState => ({
  ...rest,
  verified: verified === 1,
  deleted: deleted === 1,
  createdAt: created_at,
  updatedAt: updated_at,
});

const toRow = ({ createdAt, updatedAt, ...rest }: UserState) => ({
  ...rest,
  email_key: rest.deleted ? null : emailKey(rest.email),
  created_at: createdAt,
  updated_at: updatedAt,
});

/** What is published of a user beside the event's name. */
export const toData = (user: UserState, event: UserEvent): EventData<UserEvent['type']> =>
  event.type === 'user.verification_requested' ? { user, verification: event.verification } : { user };

/** What one order or account says of its user. */
export interface Obligation {
  readonly kind: 'order' | 'account';
  readonly subject: string;
  readonly userId: string;
  readonly version: number;
  /** Whether the order is unfinished, or the account holds money. */
  readonly open: boolean;
}

const obligationRow = ({ userId, ...rest }: Obligation) => ({ ...rest, user_id: userId });

export class UserStore {
  constructor(private readonly outbox: Outbox) {}

  /** The user, locked until the transaction ends. */
  async lock(tx: Transaction, id: string): Promise<UserState | null> {
    const [row] = await tx.lock<UserRow>('users', 'id', [id]);
    return row === undefined ? null : fromRow(row);
  }

  /** The users by id as last committed. */
  async find(db: Database, ids: readonly string[]): Promise<Map<string, UserState>> {
    const rows = await db.read<UserRow>(`SELECT * FROM users WHERE id IN (${placeholders(ids.length)})`, ids);
    return new Map(rows.map((row) => [row.id, fromRow(row)]));
  }

  /** Whoever has the address now, as last committed. */
  async findByEmail(db: Database, email: string): Promise<UserState | undefined> {
    const [row] = await db.read<UserRow>('SELECT * FROM users WHERE email_key = ?', [emailKey(email)]);
    return row === undefined ? undefined : fromRow(row);
  }

  /**
   * Saves what was decided and publishes it; answers the user afterwards.
   * @throws AppError CONFLICT on the e-mail address of another user.
   */
  async save(
    tx: Transaction,
    before: UserState | null,
    decided: readonly UserEvent[],
    traceparent: string | null,
  ): Promise<UserState> {
    const { state, events } = fold(before, decided, evolve, toData);
    if (state === null) throw new Error('a change of no user');
    if (events.length === 0) return state;
    await this.requireFreeEmail(tx, state);
    await this.write(tx, before, state);
    this.keepVerifications(tx, state, decided);
    this.outbox.append(tx, events, traceparent);
    return state;
  }

  /** Looked up first for a clear answer; the unique key decides where two come at once. */
  private async requireFreeEmail(tx: Transaction, user: UserState): Promise<void> {
    if (user.deleted) return;
    const taken = await tx.query('SELECT id FROM users WHERE email_key = ? AND id <> ?', [
      emailKey(user.email),
      user.id,
    ]);
    if (taken.length > 0) throw new AppError('CONFLICT', 'Another user has this e-mail address.', { field: 'email' });
  }

  /** No upsert of a new user: on MySQL that would overwrite the one who was faster with the same address. */
  private async write(tx: Transaction, before: UserState | null, user: UserState): Promise<void> {
    try {
      if (before === null) await tx.insert('users', [toRow(user)]);
      else await tx.upsert('users', ['id'], [toRow(user)]);
    } catch (error) {
      // Only then may the transaction still be asked: after a deadlock, for one, it is gone.
      if (error instanceof AppError && error.code === 'CONFLICT') await this.requireFreeEmail(tx, user);
      throw error;
    }
  }

  private keepVerifications(tx: Transaction, user: UserState, decided: readonly UserEvent[]): void {
    const rows = decided.flatMap((event) =>
      event.type === 'user.verification_requested'
        ? [
            {
              id: event.verification.id,
              user_id: user.id,
              email: user.email,
              requested_at: event.at,
              expires_at: event.verification.expiresAt,
              used_at: null,
            },
          ]
        : [],
    );
    tx.deferred.insert('verifications', rows);
  }

  async obligations(tx: Transaction, userId: string): Promise<Obligations> {
    const rows = await tx.query<{ kind: Obligation['kind']; count: number }>(
      'SELECT kind, COUNT(*) AS count FROM obligations WHERE user_id = ? AND open = 1 GROUP BY kind',
      [userId],
    );
    const count = (kind: Obligation['kind']): number => rows.find((row) => row.kind === kind)?.count ?? 0;
    return { openOrders: count('order'), accountsWithMoney: count('account') };
  }

  /** Keeps the newest of what is there and what is new; the order in which events come does not matter. */
  async saveObligations(tx: Transaction, kind: Obligation['kind'], obligations: readonly Obligation[]): Promise<void> {
    const newest = new Map<string, Obligation>();
    for (const one of obligations) {
      if (one.version > (newest.get(one.subject)?.version ?? 0)) newest.set(one.subject, one);
    }
    // First what is missing, as in `saveNewer`. It also locks what is there (on MySQL by its ON DUPLICATE KEY UPDATE): the
    // versions read next are the last ones.
    const rows = [...newest.values()].sort((a, b) => (a.subject < b.subject ? -1 : 1)).map(obligationRow);
    if ((await tx.insertNew('obligations', ['kind', 'subject'], rows)) === rows.length) return;
    const known = await tx.query<{ subject: string; version: number }>(
      `SELECT subject, version FROM obligations WHERE kind = ? AND subject IN (${placeholders(newest.size)})`,
      [kind, ...newest.keys()],
    );
    for (const { subject, version } of known) {
      if ((newest.get(subject)?.version ?? 0) <= version) newest.delete(subject);
    }
    await tx.upsert('obligations', ['kind', 'subject'], [...newest.values()].map(obligationRow));
  }
}
