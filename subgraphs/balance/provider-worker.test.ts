import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { DatabaseEngine } from '../../shared/database/contract.js';
import type { Database } from '../../shared/database/port.js';
import { testDatabases } from '../../shared/database/testing.js';
import { silentLogger } from '../../shared/observability/logger.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import type { WorkerPart } from '../../shared/service/worker.js';
import { until } from '../../tests/until.js';
import { Collector } from './collector.js';
import { Initial1700000000000 } from './migrations/1-initial.js';
import type { PaymentCommand } from './payments.js';
import { ProviderCalls } from './provider-calls.js';
import { createProviderWorker, type ProviderWorkerOptions } from './provider-worker.js';
import type { ChargeRequest, ChargeResult, PaymentProvider } from './provider.js';
import { BalanceStore } from './store.js';

/** Keeps books as a real provider would: one charge and one refund per id, the same answer ever after. */
class BookkeepingProvider implements PaymentProvider {
  readonly asked: string[] = [];
  readonly taken = new Map<string, number>();
  readonly givenBack = new Map<string, number>();
  /** Runs before each answer. */
  before: (kind: 'charge' | 'refund') => Promise<void> = () => Promise.resolve();
  /** What becomes of a charge. */
  decide: () => ChargeResult = () => ({ outcome: 'APPROVED', reference: 'ref' });

  async charge({ paymentId, amount }: ChargeRequest): Promise<ChargeResult> {
    this.asked.push(`charge ${paymentId}`);
    const result = this.decide();
    if (result.outcome === 'APPROVED') this.taken.set(paymentId, amount);
    await this.before('charge');
    return result;
  }

  async refund({ paymentId, amount }: { readonly paymentId: string; readonly amount: number }): Promise<void> {
    this.asked.push(`refund ${paymentId}`);
    this.givenBack.set(paymentId, amount);
    await this.before('refund');
  }
}

type OrderCommand = Extract<PaymentCommand, { orderId: string }>;

interface Process {
  readonly database: Database;
  readonly worker: WorkerPart;
  /** Handles what orders ask for in one transaction, as the reaction does. */
  readonly handle: (...commands: readonly OrderCommand[]) => Promise<void>;
}

let databases: DatabaseEngine;
let provider: BookkeepingProvider;
const processes: Process[] = [];

beforeEach(async () => {
  databases = await testDatabases();
  provider = new BookkeepingProvider();
});
afterEach(async () => {
  for (const { worker, database } of processes.splice(0)) {
    await worker.stop();
    await database.close();
  }
  await databases.dispose();
});

/** What one process has: its own handle of the database, and a worker that is not started yet. */
async function newProcess(options: Partial<ProviderWorkerOptions> = {}): Promise<Process> {
  const database = await databases.open({ name: 'tributary_balance', migrations: [Initial1700000000000] });
  await database.migrate();
  const store = new BalanceStore(new Outbox('tributary/balance', Date.now));
  const calls = new ProviderCalls(database);
  const worker = createProviderWorker({
    database,
    store,
    calls,
    provider,
    log: silentLogger(),
    now: Date.now,
    leaseMs: 150,
    retryMs: 5,
    ...options,
  });
  const handle = (...commands: readonly OrderCommand[]): Promise<void> =>
    database.transaction(async (tx) => {
      const books = await store.lockBooks(
        tx,
        commands.map(({ orderId }) => orderId),
      );
      const collector = new Collector(books, new Map());
      for (const command of commands) collector.handle(command.orderId, command, { userId: 'u1', traceparent: null });
      collector.write(tx, { store, calls });
    });
  const started = { database, worker, handle };
  processes.push(started);
  return started;
}

const request = (paymentId = 'p1', orderId = 'o1'): OrderCommand => ({
  type: 'request',
  orderId,
  attempt: { paymentId, method: 'CREDIT_CARD', accountId: null, amount: 5_000 },
  at: Date.now(),
});
const cancel = (): OrderCommand => ({ type: 'cancel', orderId: 'o1', at: Date.now() });

async function published(database: Database): Promise<string[]> {
  const rows = await database.read<{ headers: string }>('SELECT headers FROM outbox ORDER BY id');
  return rows.map(({ headers }) => (JSON.parse(headers) as Record<string, string>)['ce_type'] ?? '');
}

const statuses = async (database: Database): Promise<(string | number | null)[]> =>
  (await database.read('SELECT status FROM provider_calls ORDER BY payment_id, kind')).map(
    (row) => row['status'] ?? null,
  );

describe('a charge', () => {
  test('is made as soon as it is asked for, once', async () => {
    const { database, worker, handle } = await newProcess();
    await worker.start();
    await handle(request());
    await until(async () => (await published(database)).includes('payment.completed'));
    expect(provider.asked).toEqual(['charge p1']);
    expect(await statuses(database)).toEqual(['DONE']);
  });

  test('that was asked for while nobody worked is made after the start', async () => {
    const { database, worker, handle } = await newProcess();
    await handle(request());
    await worker.start();
    await until(async () => (await published(database)).length === 1);
  });

  test('whose process dies between the call and the record is asked again with the same id, and taken once', async () => {
    const dying = await newProcess();
    provider.before = async () => {
      provider.before = () => Promise.resolve();
      // The money is taken; what follows never reaches the database.
      await dying.database.close();
    };
    await dying.handle(request());
    await dying.worker.start();
    await until(() => provider.asked.length === 1);

    const { database, worker } = await newProcess();
    await worker.start();
    await until(async () => (await published(database)).length > 0);
    expect(await published(database)).toEqual(['payment.completed']);
    expect(provider.asked).toEqual(['charge p1', 'charge p1']);
    expect(provider.taken).toEqual(new Map([['p1', 5_000]]));
  });

  test('that two processes come to make, because one was slow, is recorded once', async () => {
    const slow = await newProcess();
    let answerSlowly = (): void => undefined;
    provider.before = () => {
      provider.before = () => Promise.resolve();
      return new Promise((resolve) => (answerSlowly = resolve));
    };
    await slow.handle(request());
    await slow.worker.start();
    await until(() => provider.asked.length === 1);
    const { database, worker } = await newProcess();
    await worker.start();
    await until(async () => (await published(database)).length === 1);
    answerSlowly();
    await slow.worker.stop();
    expect(await published(database)).toEqual(['payment.completed']);
    expect(provider.taken.size).toBe(1);
  });

  test('is asked for again for as long as the provider fails', async () => {
    const { database, worker, handle } = await newProcess();
    let failures = 0;
    provider.before = () => (++failures < 4 ? Promise.reject(new Error('the provider is down')) : Promise.resolve());
    await handle(request());
    await worker.start();
    await until(async () => (await published(database)).includes('payment.completed'));
    expect(provider.asked).toHaveLength(4);
    expect(provider.taken.size).toBe(1);
  });

  test('that gets no answer in time is asked for again', async () => {
    const { database, worker, handle } = await newProcess({ timeoutMs: 20 });
    provider.before = () => {
      provider.before = () => Promise.resolve();
      return new Promise(() => undefined);
    };
    await handle(request());
    await worker.start();
    await until(async () => (await published(database)).includes('payment.completed'));
    expect(provider.asked).toHaveLength(2);
  });

  test('that is not decided yet is asked for again when the provider says', async () => {
    const { database, worker, handle } = await newProcess();
    provider.decide = () => {
      provider.decide = () => ({ outcome: 'DECLINED', reason: 'CARD_DECLINED' });
      return { outcome: 'PENDING', askAgainInMs: 20 };
    };
    await handle(request());
    await worker.start();
    await until(async () => (await published(database)).length === 1);
    expect(await published(database)).toEqual(['payment.failed']);
    expect(provider.taken.size).toBe(0);
  });
});

describe('a cancel', () => {
  test('in the same batch as the request asks the provider nothing', async () => {
    const { database, handle } = await newProcess();
    await handle(request(), cancel());
    expect(await published(database)).toEqual(['payment.failed']);
    expect(await statuses(database)).toEqual([]);
  });

  test('before the provider was asked takes the charge back', async () => {
    const { database, worker, handle } = await newProcess();
    await handle(request());
    await handle(cancel());
    expect(await statuses(database)).toEqual(['DROPPED']);
    await worker.start();
    await handle(request('p2'));
    await worker.stop();
    expect(provider.asked).toEqual([]);
  });

  test('while the provider is at it gives back what it takes, though refunds fail at first', async () => {
    const { database, worker, handle } = await newProcess();
    let failures = 0;
    provider.before = async (kind) => {
      if (kind === 'charge') return handle(cancel());
      if (++failures < 3) throw new Error('the provider is down');
    };
    await handle(request());
    await worker.start();
    await until(async () => (await published(database)).includes('payment.refunded'));
    expect(await published(database)).toEqual(['payment.failed', 'payment.refunded']);
    expect(provider.givenBack).toEqual(provider.taken);
    expect(provider.asked).toEqual(['charge p1', 'refund p1', 'refund p1', 'refund p1']);
    expect(await statuses(database)).toEqual(['DONE', 'DONE']);
  });
});

test('more charges than are made at a time all come to an end, each made once', async () => {
  const { database, worker, handle } = await newProcess({ leaseMs: 10_000 });
  const ids = Array.from({ length: 200 }, (_, index) => `p${index}`);
  await handle(...ids.map((paymentId) => request(paymentId, `order of ${paymentId}`)));
  await worker.start();
  await until(async () => (await published(database)).length === ids.length);
  expect([...provider.asked].sort()).toEqual(ids.map((id) => `charge ${id}`).sort());
});
