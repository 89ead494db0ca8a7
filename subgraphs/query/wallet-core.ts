/**
 * What a foreign Wallet Core publishes on `balances`: both balances after a movement, as JSON with numbers in currency
 * units, without key or headers. docs/wallet-core.md has the format and the rules.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { DocumentStore, Versioned } from '../../shared/document-store/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import type { EventLog, StoredRecord } from '../../shared/event-log/port.js';
import { InvalidEvent } from '../../shared/events/event.js';
import type { AccountState } from '../../shared/events/states.js';
import { isId } from '../../shared/ids/ids.js';
import type { WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { FOREIGN_ACCOUNTS, VIEWS_GROUP, watermark, type ForeignAccountDoc, type Put } from './views.js';

/** On the Wallet Core topics other services speak too; they know nothing of our headers. */
export function isForeign({ topic, headers }: Pick<StoredRecord, 'topic' | 'headers'>): boolean {
  return (topic === 'transactions' || topic === 'balances') && !(headers['ce_source'] ?? '').startsWith('tributary/');
}

/** An account and what is in it, in cents. */
export interface Balance {
  readonly accountId: string;
  readonly balance: number;
}

/** Numbers below this are exact to the cent: 9,999,999,999,999.99. */
const LIMIT = 1e13;

/**
 * The balances that a message tells of: two, or one where both sides are the same account.
 * @throws InvalidEvent that says what is wrong with it.
 */
export function parseBalances(value: string): readonly Balance[] {
  let message: unknown;
  try {
    message = JSON.parse(value);
  } catch (error) {
    throw new InvalidEvent('the value is not JSON', { cause: error });
  }
  if (!isObject(message)) throw new InvalidEvent('the value is not a JSON object');
  if (message['Name'] !== 'BalanceUpdated') {
    throw new InvalidEvent(`Name must be "BalanceUpdated"; it ${describe(message['Name'])}`);
  }
  const payload = message['Payload'];
  if (!isObject(payload)) throw new InvalidEvent(`Payload must be an object; it ${describe(payload)}`);
  const from = balanceOf(payload, 'from');
  const to = balanceOf(payload, 'to');
  if (from.accountId !== to.accountId) return [from, to];
  if (from.balance === to.balance) return [from];
  throw new InvalidEvent(`account ${from.accountId} is named twice, with different balances`);
}

function balanceOf(payload: Readonly<Record<string, unknown>>, side: 'from' | 'to'): Balance {
  const idField = `account_id_${side}`;
  const id = payload[idField];
  const accountId = typeof id === 'string' ? id.toLowerCase() : '';
  if (!isId(accountId)) throw new InvalidEvent(`Payload.${idField} must be a UUID; it ${describe(id)}`);
  const balanceField = `balance_account_id_${side}`;
  const balance = payload[balanceField];
  if (typeof balance !== 'number' || !(Math.abs(balance) < LIMIT)) {
    throw new InvalidEvent(
      `Payload.${balanceField} must be a number nearer to zero than ${LIMIT}; it ${describe(balance)}`,
    );
  }
  return { accountId, balance: toCents(balance) };
}

/**
 * Cents of an amount that another service computed with floating point: 849.9999999999999 is 85000. Rounded from the
 * number's exact decimal digits, so no multiplication adds an error of its own; what is nearly zero is zero, not -0.
 */
export const toCents = (units: number): number => Number(units.toFixed(2).replace('.', '')) + 0;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const MAX_SHOWN = 60;

/** For error messages; JSON.stringify would show an infinite number as null. */
function describe(value: unknown): string {
  if (value === undefined) return 'is missing';
  if (typeof value === 'number') return `is ${value}`;
  const text = JSON.stringify(value);
  return `is ${text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text}`;
}

export interface ForeignBalances {
  readonly puts: readonly Put[];
  readonly refused: readonly { readonly record: StoredRecord; readonly error: InvalidEvent }[];
}

export interface WalletCoreDeps {
  readonly eventLog: Pick<EventLog, 'logId' | 'ranges'>;
  readonly documents: DocumentStore;
  readonly mode: WalletCoreMode;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Reads foreign records of `balances`, all of one partition and in its order: which foreign accounts they renew, and which
 * of them can never be taken, with the reason. A message is one fact: it is taken as a whole or not at all.
 *
 * Accounts that are kept here are refused as ACCOUNT_OWNED, unless all accounts were handed over. To know them for sure,
 * whoever names an account never heard of waits until the views have every account that is in the log by now. An account
 * that comes to be ours later all the same is not touched by what was taken before: see `withForeignAccounts`.
 *
 * A balance that is there already is a repeat, and changes nothing.
 * Rejects with EngineUnavailable while store or log are away, or the views too far behind.
 */
export function createWalletCore(deps: WalletCoreDeps): (records: readonly StoredRecord[]) => Promise<ForeignBalances> {
  return async (records) => {
    const refused: { record: StoredRecord; error: InvalidEvent }[] = [];
    const read: { record: StoredRecord; balances: readonly Balance[] }[] = [];
    for (const record of records) {
      try {
        read.push({ record, balances: parseBalances(record.value) });
      } catch (error) {
        if (!(error instanceof InvalidEvent)) throw error;
        refused.push({ record, error });
      }
    }
    const ids = [...new Set(read.flatMap(({ balances }) => balances.map(({ accountId }) => accountId)))];
    if (ids.length === 0) return { puts: [], refused };
    const { foreign, own } = await known(deps, ids);

    const now = deps.now();
    const newest = new Map(foreign);
    for (const { record, balances } of read) {
      const owned = deps.mode === 'own' ? balances.find(({ accountId }) => own.has(accountId)) : undefined;
      if (owned !== undefined) {
        refused.push({ record, error: accountOwned(owned.accountId) });
        continue;
      }
      for (const balance of balances) {
        const { accountId } = balance;
        const renewed = renew(newest.get(accountId), balance, {
          version: record.offset + 1,
          // The log may pass on the producer's own idea of the time.
          at: record.timestamp >= 0 && record.timestamp <= now ? record.timestamp : now,
          replaces: own.get(accountId)?.version ?? 0,
        });
        if (renewed !== null) newest.set(accountId, renewed);
      }
    }
    const puts = [...newest.values()]
      .filter((one) => one !== foreign.get(one.id))
      .map((one) => ({ collection: FOREIGN_ACCOUNTS, ...one }));
    return { puts, refused };
  };
}

type Known = ReadonlyMap<string, Versioned<ForeignAccountDoc>>;

/** The account after a message; null where that says nothing new. */
function renew(
  before: Versioned<ForeignAccountDoc> | undefined,
  { accountId: id, balance }: Balance,
  { version, at, replaces }: { readonly version: number; readonly at: number; readonly replaces: number },
): Versioned<ForeignAccountDoc> | null {
  if (before === undefined) {
    return { id, version, doc: { id, balance, replaces, createdAt: at, updatedAt: at } };
  }
  const { doc } = before;
  if (version <= before.version || (balance === doc.balance && replaces === doc.replaces)) return null;
  return { id, version, doc: { ...doc, balance, replaces, updatedAt: Math.max(doc.updatedAt, at) } };
}

/** The error's first word is for machines, the rest for people. */
const accountOwned = (id: string): InvalidEvent =>
  new InvalidEvent(
    `ACCOUNT_OWNED: account ${id} is kept here, so no other Wallet Core can change it; nothing of the message was applied`,
  );

async function known(
  deps: WalletCoreDeps,
  ids: readonly string[],
): Promise<{ readonly foreign: Known; readonly own: ReadonlyMap<string, Versioned<AccountState>> }> {
  const { documents, mode } = deps;
  const ours = () => documents.getMany<AccountState>('accounts', ids);
  const [foreign, own] = await Promise.all([documents.getMany<ForeignAccountDoc>(FOREIGN_ACCOUNTS, ids), ours()]);
  // One that was foreign before is taken for it; those handed over are asked for their last version here each time.
  if (mode === 'own' && ids.every((id) => foreign.has(id) || own.has(id))) return { foreign, own };
  await accountsAreProjected(deps);
  return { foreign, own: await ours() };
}

/** How long to wait for the views in one go; the log brings the records again afterwards. */
const WAIT_MS = 1_000;
const POLL_MS = 10;

/** Until the views have every event of `accounts` that is in the log now. */
async function accountsAreProjected({ eventLog, documents }: Omit<WalletCoreDeps, 'mode' | 'now'>): Promise<void> {
  const ranges = (await eventLog.ranges('accounts')).filter(({ first, next }) => next > first);
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const reached = await watermark(documents, eventLog.logId, VIEWS_GROUP, 'accounts');
    if (ranges.every(({ partition, next }) => (reached.get(partition) ?? 0) >= next)) return;
    if (performance.now() > deadline) throw new EngineUnavailable('accounts view');
    await delay(POLL_MS);
  }
}
