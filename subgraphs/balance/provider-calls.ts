import { placeholders, type Database, type Transaction } from '../../shared/database/port.js';
import { claimDue, nextDue, type LeaseTable } from '../../shared/effects/leases.js';
import type { Attempt } from './payments.js';
import type { ChargeRequest } from './provider.js';

const TABLE: LeaseTable = { name: 'provider_calls', key: ['payment_id', 'kind'] };

/** One thing to ask of the payment provider. A payment has at most one of each kind. */
export interface ProviderCall {
  readonly payment_id: string;
  readonly kind: 'CHARGE' | 'REFUND';
  readonly order_id: string;
  readonly method: ChargeRequest['method'];
  /** Cents. */
  readonly amount: number;
  readonly reference: string | null;
  /** Trace context of what asked for it. */
  readonly traceparent: string | null;
  readonly status: 'REQUESTED' | 'DONE' | 'DROPPED';
  /** Not to be made before this. */
  readonly due_at: number;
  readonly claimed_by: string | null;
  /** How often the provider was asked, and how many of these ended in an error. */
  readonly attempts: number;
  readonly failures: number;
  readonly requested_at: number;
}

/** A call that `attempt` leads to. */
export function callFor(
  kind: ProviderCall['kind'],
  orderId: string,
  { paymentId, method, amount, reference }: Attempt,
  { at, traceparent }: { readonly at: number; readonly traceparent: string | null },
): ProviderCall {
  if (method === 'WALLET') throw new Error(`payment ${paymentId} of a wallet does not go to the provider`);
  return {
    payment_id: paymentId,
    kind,
    order_id: orderId,
    method,
    amount,
    reference,
    traceparent,
    status: 'REQUESTED',
    due_at: at,
    claimed_by: null,
    attempts: 0,
    failures: 0,
    requested_at: at,
  };
}

/** The table of calls to the payment provider: a to-do list that survives a crash. */
export class ProviderCalls {
  private readonly listeners = new Set<() => void>();

  constructor(private readonly database: Database) {}

  /** Hears of every commit that added calls, in this process. Answers the function that ends it. */
  onRequested(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  request(tx: Transaction, calls: readonly ProviderCall[]): void {
    if (calls.length === 0) return;
    tx.deferred.insert(
      'provider_calls',
      calls.map((call) => ({ ...call })),
    );
    tx.afterCommit(() => {
      for (const listener of this.listeners) listener();
    });
  }

  /** Takes back charges that the provider was never asked for. One that was asked goes on: its outcome must be known. */
  dropCharges(tx: Transaction, paymentIds: readonly string[]): void {
    if (paymentIds.length === 0) return;
    tx.deferred.execute(
      `UPDATE provider_calls SET status = 'DROPPED'
       WHERE payment_id IN (${placeholders(paymentIds.length)}) AND kind = 'CHARGE' AND status = 'REQUESTED' AND attempts = 0`,
      paymentIds,
    );
  }

  /** Takes up to `limit` calls that are due, for `leaseMs`; see `claimDue`. */
  claim(now: number, leaseMs: number, limit: number): Promise<ProviderCall[]> {
    return claimDue(this.database, TABLE, { now, leaseMs, limit });
  }

  /** When the next call is due, in milliseconds since the epoch; null if there is none. */
  nextDue(): Promise<number | null> {
    return nextDue(this.database, TABLE);
  }

  /** Those of the calls that still wait for their outcome, locked. Another process may have been faster. */
  async lockOpen(tx: Transaction, calls: readonly ProviderCall[]): Promise<Set<string>> {
    const rows = await tx.lock<ProviderCall>(
      'provider_calls',
      'payment_id',
      calls.map((call) => call.payment_id),
    );
    return new Set(rows.filter((row) => row.status === 'REQUESTED').map(keyOf));
  }

  done(tx: Transaction, { payment_id, kind }: ProviderCall): void {
    tx.deferred.execute(`UPDATE provider_calls SET status = 'DONE' WHERE payment_id = ? AND kind = ?`, [
      payment_id,
      kind,
    ]);
  }

  /** To be asked again at `dueAt`. Not if somebody else has claimed it by now: then it is theirs to say when. */
  postpone(tx: Transaction, call: ProviderCall, dueAt: number, failed: boolean): void {
    tx.deferred.execute(
      `UPDATE provider_calls SET due_at = ?, failures = failures + ? WHERE payment_id = ? AND kind = ? AND claimed_by = ?`,
      [dueAt, failed ? 1 : 0, call.payment_id, call.kind, call.claimed_by],
    );
  }
}

/** What tells calls apart. */
export const keyOf = ({ payment_id, kind }: Pick<ProviderCall, 'payment_id' | 'kind'>): string =>
  `${payment_id} ${kind}`;
