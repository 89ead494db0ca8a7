import { setTimeout as pause } from 'node:timers/promises';
import type { Database } from '../../shared/database/port.js';
import { EffectWorker, type Performed } from '../../shared/effects/worker.js';
import { assertNever } from '../../shared/errors/errors.js';
import type { Logger } from '../../shared/observability/logger.js';
import { traceIdOf } from '../../shared/observability/trace.js';
import type { Check } from '../../shared/service/service.js';
import type { WorkerPart } from '../../shared/service/worker.js';
import { Collector } from './collector.js';
import type { PaymentCommand } from './payments.js';
import { keyOf, type ProviderCall, type ProviderCalls } from './provider-calls.js';
import type { ChargeResult, PaymentProvider } from './provider.js';
import type { BalanceStore } from './store.js';

export interface ProviderWorkerOptions {
  readonly database: Database;
  readonly store: BalanceStore;
  readonly calls: ProviderCalls;
  readonly provider: PaymentProvider;
  readonly log: Logger;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long a claimed call is left to its claimer; 10 s when absent. */
  readonly leaseMs?: number;
  /** How long the provider may take to answer; shorter than the lease. 8 s when absent. */
  readonly timeoutMs?: number;
  /** First pause after an error; doubles up to a minute. 1 s when absent. */
  readonly retryMs?: number;
}

/** Calls under way at a time. */
const MAX_IN_FLIGHT = 64;

/** Less than what lies between two batches of the reaction that asks for calls: a call waits so long at most to be claimed. */
const PACE_MS = 20;

const LONGEST_RETRY_MS = 60_000;

type Answer =
  | { readonly type: 'charge'; readonly result: ChargeResult }
  | { readonly type: 'refunded' }
  | { readonly type: 'error'; readonly error: unknown };

type Answered = Performed<ProviderCall, Answer>;

/**
 * Asks the payment provider for what the payment books want, in three steps: a call is claimed for a while, made outside
 * any transaction with the payment's id as idempotency key, and its outcome is recorded with the events it leads to, in
 * one transaction. Whoever dies in between leaves a claim that runs out; the call is then made again with the same id,
 * and the provider answers as it did before. Errors of the provider are retried for as long as they last.
 */
export function createProviderWorker(options: ProviderWorkerOptions): WorkerPart {
  return new ProviderWorker(options);
}

class ProviderWorker implements WorkerPart {
  private readonly worker: EffectWorker<ProviderCall, Answer>;
  private failing = false;

  constructor(private readonly options: ProviderWorkerOptions) {
    const { calls, now, log, leaseMs = 10_000 } = options;
    this.worker = new EffectWorker<ProviderCall, Answer>({
      name: 'calls to the payment provider',
      maxInFlight: () => MAX_IN_FLIGHT,
      paceMs: PACE_MS,
      log,
      now,
      onRequested: (listener) => calls.onRequested(listener),
      claim: (limit) => calls.claim(now(), leaseMs, limit),
      nextDue: () => calls.nextDue(),
      perform: (call) => this.ask(call).catch((error: unknown): Answer => ({ type: 'error', error })),
      record: (answered) => this.settle(answered),
      about: ({ payment_id: paymentId, order_id: orderId, kind }) => ({ paymentId, orderId, kind }),
    });
  }

  async start(): Promise<void> {
    this.worker.start();
  }

  stop(): Promise<void> {
    return this.worker.stop();
  }

  checks(): Promise<readonly Check[]> {
    const name = 'payment provider';
    // Not a reason to take the service out: the calls wait, and everything else goes on.
    const detail = 'The payment provider fails; it is asked again.';
    return Promise.resolve([{ name, ok: true, ...(this.failing && { detail }) }]);
  }

  private async ask(call: ProviderCall): Promise<Answer> {
    const { provider, timeoutMs = 8_000 } = this.options;
    const { payment_id: paymentId, order_id: orderId, method, amount, reference, requested_at: requestedAt } = call;
    const answer: Promise<Answer> =
      call.kind === 'CHARGE'
        ? provider
            .charge({ paymentId, orderId, method, amount, requestedAt })
            .then((result) => ({ type: 'charge', result }))
        : provider.refund({ paymentId, amount, reference }).then(() => ({ type: 'refunded' }));
    const inTime = new AbortController();
    const tooLate = pause(timeoutMs, undefined, { signal: inTime.signal }).then((): Answer => {
      throw new Error(`The payment provider did not answer within ${timeoutMs} ms.`);
    });
    try {
      return await Promise.race([answer, tooLate]);
    } finally {
      inTime.abort();
      // Whichever lost the race may still reject; nobody waits for it any more.
      answer.catch(() => undefined);
      tooLate.catch(() => undefined);
    }
  }

  /** Answers when the first of these is to be asked again; null if none is. */
  private async settle(answered: readonly Answered[]): Promise<number | null> {
    const { database, store, calls, now } = this.options;
    const at = now();
    const judged = answered.map(({ task, outcome }) => ({ task, outcome, again: this.askAgainAt(task, outcome, at) }));
    const recorded = await database.transaction(async (tx) => {
      const tasks = answered.map(({ task }) => task);
      const orders = tasks.map((call) => call.order_id);
      const [books, open] = await Promise.all([store.lockBooks(tx, orders), calls.lockOpen(tx, tasks)]);
      const collector = new Collector(books, new Map());
      const taken = judged.filter(({ task }) => open.has(keyOf(task)));
      for (const { task: call, outcome: answer, again } of taken) {
        if (again === null) calls.done(tx, call);
        else calls.postpone(tx, call, again, answer.type === 'error');
        const command = commandFor(call, answer, at);
        if (command !== null) collector.handle(call.order_id, command, { userId: null, traceparent: call.traceparent });
      }
      collector.write(tx, { store, calls });
      return taken;
    });
    for (const one of recorded) this.report(one);
    const times = judged.flatMap(({ again }) => again ?? []);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** When the provider is to be asked once more; null if its answer is final. */
  private askAgainAt({ failures }: ProviderCall, answer: Answer, at: number): number | null {
    if (answer.type === 'error') {
      const { retryMs = 1_000 } = this.options;
      return at + Math.min(retryMs * 2 ** failures, LONGEST_RETRY_MS);
    }
    return answer.type === 'charge' && answer.result.outcome === 'PENDING' ? at + answer.result.askAgainInMs : null;
  }

  private report({ task: call, outcome: answer }: Answered): void {
    const { log } = this.options;
    const { payment_id: paymentId, order_id: orderId, kind, attempts, traceparent } = call;
    const about = { paymentId, orderId, kind, attempts, traceId: traceIdOf(traceparent) };
    if (answer.type === 'error') {
      this.failing = true;
      log.warn({ ...about, err: answer.error }, 'payment provider failed; asking again');
      return;
    }
    this.failing = false;
    log.info(
      { ...about, outcome: answer.type === 'charge' ? answer.result.outcome : 'REFUNDED' },
      'payment provider answered',
    );
  }
}

/** What an answer means for the payment; null while there is nothing to tell. */
function commandFor({ payment_id: paymentId }: ProviderCall, answer: Answer, at: number): PaymentCommand | null {
  switch (answer.type) {
    case 'error':
      return null;
    case 'refunded':
      return { type: 'confirmRefund', paymentId, at };
    case 'charge': {
      const { result } = answer;
      if (result.outcome === 'APPROVED') return { type: 'approve', paymentId, reference: result.reference, at };
      if (result.outcome === 'DECLINED') return { type: 'decline', paymentId, reason: result.reason, at };
      return null;
    }
    default:
      return assertNever(answer);
  }
}
