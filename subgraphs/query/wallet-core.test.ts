import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { StoredRecord } from '../../shared/event-log/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { InvalidEvent } from '../../shared/events/event.js';
import { newId } from '../../shared/ids/ids.js';
import { silentLogger } from '../../shared/observability/logger.js';
import type { Service } from '../../shared/service/service.js';
import type { WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { until } from '../../tests/until.js';
import { createProjector } from './projector.js';
import { account, happened, openTestbed, transaction, watched, type Testbed } from './testbed.js';
import { FOREIGN_ACCOUNTS, PARKED, type AccountDoc, type ForeignAccountDoc, type ParkedDoc } from './views.js';
import { withForeignAccounts } from './wallet-core-accounts.js';
import { createWalletCore, parseBalances, toCents } from './wallet-core.js';

const [ANA, EVA] = ['0190a000-0000-4000-8000-00000000000a', '0190a000-0000-4000-8000-00000000000e'];

/** As a service that knows nothing of us writes it. */
const message = (payload: object, name = 'BalanceUpdated'): string => JSON.stringify({ Name: name, Payload: payload });

const balances = (from: string, balanceFrom: number, to: string, balanceTo: number): string =>
  message({
    account_id_from: from,
    account_id_to: to,
    balance_account_id_from: balanceFrom,
    balance_account_id_to: balanceTo,
  });

const reasonOf = (value: string): string => {
  try {
    parseBalances(value);
  } catch (error) {
    if (error instanceof InvalidEvent) return error.message;
    throw error;
  }
  return 'none';
};

describe('a message', () => {
  test('tells of both accounts, whatever else it says', () => {
    const value = JSON.stringify({
      Name: 'BalanceUpdated',
      DateTime: '2026-01-31T12:00:00Z',
      Payload: {
        id: newId(),
        account_id_from: ANA.toUpperCase(),
        account_id_to: EVA,
        balance_account_id_from: 850,
        balance_account_id_to: 1150,
      },
    });
    expect(parseBalances(value)).toEqual([
      { accountId: ANA, balance: 85_000 },
      { accountId: EVA, balance: 115_000 },
    ]);
  });

  test.each([
    ['850', 85_000],
    ['850.1', 85_010],
    ['850.10', 85_010],
    ['1e3', 100_000],
    ['1E-2', 1],
    ['849.9999999999999', 85_000],
    ['850.0000000000001', 85_000],
    ['0.30000000000000004', 30],
    ['-12.5', -1_250],
    ['0', 0],
    ['-0', 0],
    ['-0.0', 0],
    ['-1.4210854715202004e-14', 0],
    ['1e-300', 0],
    ['9999999999999.99', 999_999_999_999_999],
  ])('%s is that many cents: %i', (written, cents) => {
    const value = `{"Name":"BalanceUpdated","Payload":{"account_id_from":"${ANA}","account_id_to":"${EVA}","balance_account_id_from":${written},"balance_account_id_to":1}}`;
    const [from] = parseBalances(value);
    // toBe tells -0 from 0.
    expect(from?.balance).toBe(cents);
  });

  test('whatever error of floating point an amount has, it comes to its cents', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -999_999_999_999, max: 999_999_999_999 }),
        fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 }), { maxLength: 30 }),
        (start, steps) => {
          const exact = steps.reduce((sum, step) => sum + step, start);
          const drifted = steps.reduce((sum, step) => sum + step / 100, start / 100);
          expect(toCents(drifted)).toBe(exact);
          expect(toCents(exact / 100)).toBe(exact);
        },
      ),
    );
  });

  test('every number is cents without a rest, or refused', () => {
    fc.assert(
      fc.property(fc.double(), (number) => {
        const value = balances(ANA, 0, EVA, 0).replace(
          '"balance_account_id_to":0',
          `"balance_account_id_to":${number}`,
        );
        if (!Number.isFinite(number) || Math.abs(number) >= 1e13) {
          expect(reasonOf(value)).toMatch(/not JSON|must be a number/);
          return;
        }
        const [, to] = parseBalances(value);
        expect(Number.isSafeInteger(to?.balance)).toBe(true);
        expect(Object.is(to?.balance, -0)).toBe(false);
        // Half a cent, and what numbers of that size cannot tell apart.
        const most = 0.005001 + Math.abs(number) * Number.EPSILON;
        expect(Math.abs((to?.balance ?? NaN) / 100 - number)).toBeLessThanOrEqual(most);
      }),
      { numRuns: 1_000 },
    );
  });

  const payload = { account_id_from: ANA, account_id_to: EVA, balance_account_id_from: 1, balance_account_id_to: 2 };

  test.each<[string, string, string]>([
    ['nothing', '', 'the value is not JSON'],
    ['half of it', balances(ANA, 1, EVA, 2).slice(0, 40), 'the value is not JSON'],
    ['NaN', `{"Name":"BalanceUpdated","Payload":{"balance_account_id_from":NaN}}`, 'the value is not JSON'],
    ['text', '"BalanceUpdated"', 'the value is not a JSON object'],
    ['null', 'null', 'the value is not a JSON object'],
    ['a list', '[]', 'the value is not a JSON object'],
    ['no name', '{}', 'Name must be "BalanceUpdated"; it is missing'],
    [
      'another name',
      message(payload, 'TransactionCreated'),
      'Name must be "BalanceUpdated"; it is "TransactionCreated"',
    ],
    ['no payload', '{"Name":"BalanceUpdated"}', 'Payload must be an object; it is missing'],
    ['a payload of text', '{"Name":"BalanceUpdated","Payload":"x"}', 'Payload must be an object; it is "x"'],
    [
      'no account',
      message({ ...payload, account_id_from: undefined }),
      'Payload.account_id_from must be a UUID; it is missing',
    ],
    [
      'a null account',
      message({ ...payload, account_id_to: null }),
      'Payload.account_id_to must be a UUID; it is null',
    ],
    [
      'an account of no UUID',
      message({ ...payload, account_id_to: 'a\0b' }),
      'Payload.account_id_to must be a UUID; it is "a\\u0000b"',
    ],
    [
      'a number for an account',
      message({ ...payload, account_id_to: 7 }),
      'Payload.account_id_to must be a UUID; it is 7',
    ],
    [
      'no balance',
      message({ ...payload, balance_account_id_to: undefined }),
      'Payload.balance_account_id_to must be a number nearer to zero than 10000000000000; it is missing',
    ],
    [
      'text for a balance',
      message({ ...payload, balance_account_id_from: '850' }),
      'Payload.balance_account_id_from must be a number nearer to zero than 10000000000000; it is "850"',
    ],
    [
      'an infinite balance',
      message({ ...payload, balance_account_id_from: 1 }).replace(':1,', ':-1e999,'),
      'Payload.balance_account_id_from must be a number nearer to zero than 10000000000000; it is -Infinity',
    ],
    [
      'an absurd balance',
      message({ ...payload, balance_account_id_from: 1e13 }),
      'Payload.balance_account_id_from must be a number nearer to zero than 10000000000000; it is 10000000000000',
    ],
    [
      'one account with two balances',
      balances(ANA, 1, ANA.toUpperCase(), 2),
      `account ${ANA} is named twice, with different balances`,
    ],
  ])('with %s is refused, and the reason says what is wrong', (_, value, reason) => {
    expect(reasonOf(value)).toBe(reason);
  });

  test('with endless text is refused with a reason of moderate length', () => {
    expect(reasonOf(message({ ...payload, account_id_from: 'x'.repeat(500_000) })).length).toBeLessThan(200);
  });

  test('of any JSON or text is read or refused, and nothing else happens', () => {
    fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (value) => typeof reasonOf(value) === 'string'));
  });
});

describe('the read side', () => {
  let bed: Testbed;
  const running: Service[] = [];

  beforeEach(async () => {
    bed = await openTestbed();
  });

  const stopAll = async (): Promise<void> => {
    for (const one of running.splice(0)) await one.stop();
  };

  afterEach(async () => {
    await stopAll();
    await bed.close();
  });

  afterAll(stopAll);

  const start = async (walletCore: WalletCoreMode = 'own', documents = bed.documents): Promise<void> => {
    const { eventLog, metrics } = bed;
    const projector = createProjector({ eventLog, documents, log: silentLogger(), metrics, now: Date.now, walletCore });
    running.push(projector);
    await projector.start();
  };

  const append = (...values: readonly string[]) =>
    bed.eventLog.append(values.map((value) => ({ topic: 'balances', key: null, value, headers: {} })));

  const seen = async (id: string, mode: WalletCoreMode = 'own') =>
    (await withForeignAccounts(bed.documents, mode).get<AccountDoc>('accounts', id)) ?? undefined;

  const parked = async (): Promise<readonly ParkedDoc[]> => {
    const found = await bed.documents.find<ParkedDoc>(PARKED, {
      sort: { field: 'at', direction: 'asc' },
      limit: 1_000,
    });
    return found.map(({ doc }) => doc);
  };

  const deadLetters = async (): Promise<readonly StoredRecord[]> => {
    const records: StoredRecord[] = [];
    const wanted = (await bed.eventLog.ranges('balances.dlq')).reduce((sum, { next }) => sum + next, 0);
    const tail = await bed.eventLog.tail({
      topics: ['balances.dlq'],
      from: 'start',
      onBatch: (batch) => void records.push(...batch.records),
    });
    await until(() => records.length >= wanted);
    await tail.stop();
    return records;
  };

  test('a foreign account is made by the first message that names it, in version offset + 1', async () => {
    await start();
    await append(balances(ANA, 850.1, EVA, 1e3), balances(EVA, 900, newId(), 5));
    await bed.caughtUp();
    expect(await seen(ANA)).toMatchObject({
      version: 1,
      doc: { id: ANA, version: 1, userId: null, balance: 85_010, origin: 'foreign' },
    });
    const eva = await seen(EVA);
    expect(eva).toMatchObject({ version: 2, doc: { version: 2, balance: 90_000 } });
    expect(Math.abs((eva?.doc.updatedAt ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  test('a message that comes twice changes nothing the second time', async () => {
    await start();
    await append(balances(ANA, 850, EVA, 1150));
    await bed.caughtUp();
    const before = [await seen(ANA), await seen(EVA)];
    await append(balances(ANA, 850, EVA, 1150), balances(ANA, 850, EVA, 1150));
    await bed.caughtUp();
    expect([await seen(ANA), await seen(EVA)]).toEqual(before);
    expect(await parked()).toEqual([]);
  });

  test('the last record of an account stays, however they are cut into batches and however often they come', async () => {
    const ids = Array.from({ length: 4 }, () => newId());
    const messages = fc.array(
      fc.record({
        from: fc.nat({ max: 3 }),
        to: fc.nat({ max: 3 }),
        cents: fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 })),
      }),
      { minLength: 1, maxLength: 25 },
    );
    await start();
    const last = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(messages, async (sent) => {
        const told = sent.filter(({ from, to }) => from !== to);
        for (const { from, to, cents } of told) {
          last.set(ids[from] as string, cents[0]).set(ids[to] as string, cents[1]);
          await append(balances(ids[from] as string, cents[0] / 100, ids[to] as string, cents[1] / 100));
        }
        await bed.caughtUp();
        for (const [id, cents] of last) expect((await seen(id))?.doc.balance).toBe(cents);
      }),
      { numRuns: 15 },
    );
    // All of it again, to a store that knows what is newer.
    const state = await bed.documents.getMany<ForeignAccountDoc>(FOREIGN_ACCOUNTS, ids);
    const take = createWalletCore({ eventLog: bed.eventLog, documents: bed.documents, mode: 'own', now: Date.now });
    const records: StoredRecord[] = [];
    const tail = await bed.eventLog.tail({
      topics: ['balances'],
      from: 'start',
      onBatch: (batch) => void records.push(...batch.records),
    });
    await until(async () => records.length === (await bed.eventLog.ranges('balances'))[0]?.next);
    await tail.stop();
    expect(await take(records)).toEqual({ puts: [], refused: [] });
    expect(await bed.documents.getMany(FOREIGN_ACCOUNTS, ids)).toEqual(state);
  });

  test('garbage between good messages is parked and copied with the reason, and stops nothing', async () => {
    await start();
    const garbage = ['', 'not json', '{"Name":"BalanceUpdated"}', balances('x', 1, EVA, 2), '[]'];
    await append(balances(ANA, 1, EVA, 2), ...garbage, balances(ANA, 3, EVA, 4));
    await bed.caughtUp();
    expect((await seen(ANA))?.doc.balance).toBe(300);
    expect((await seen(EVA))?.doc.balance).toBe(400);
    const dead = await deadLetters();
    expect(dead.map(({ value }) => value)).toEqual(garbage);
    expect(dead.map(({ headers }) => headers['x-error'])).toEqual([
      'the value is not JSON',
      'the value is not JSON',
      'Payload must be an object; it is missing',
      'Payload.account_id_from must be a UUID; it is "x"',
      'the value is not a JSON object',
    ]);
    expect(await parked()).toHaveLength(garbage.length);
  });

  test('a message that names an account of ours is refused as a whole, also when ours is not in the view yet', async () => {
    const [ours, stranger] = [account({ balance: 50_000, version: 2 }), newId()];
    // Both wait in the log when the projector starts.
    await bed.publish(happened('account.balance_changed', { account: ours, transaction: transaction() }));
    await append(balances(ours.id, 0, stranger, 1_000_000), balances(stranger, 5, ours.id.toUpperCase(), 7));
    await start();
    await bed.caughtUp();
    expect(await seen(ours.id)).toMatchObject({ version: 2, doc: { balance: 50_000, userId: ours.userId } });
    expect(await seen(stranger)).toBeUndefined();
    expect((await parked()).map(({ error }) => error.split(':')[0])).toEqual(['ACCOUNT_OWNED', 'ACCOUNT_OWNED']);
    expect((await deadLetters()).map(({ headers }) => headers['x-error'])).toEqual([
      expect.stringContaining(ours.id),
      expect.stringContaining(ours.id),
    ]);
  });

  test('an account that was taken for foreign is ours from the moment its own event comes', async () => {
    await start();
    const ours = account({ balance: 100, version: 1 });
    await append(balances(ours.id, 66.6, ANA, 1), ...Array.from({ length: 5 }, (_, i) => balances(EVA, i, ANA, i)));
    await bed.caughtUp();
    expect((await seen(ours.id))?.doc).toMatchObject({ balance: 6_660, userId: null });
    await bed.publish(happened('account.created', { account: ours }));
    await bed.caughtUp();
    expect(await seen(ours.id)).toEqual({ id: ours.id, version: 1, doc: ours });
    await append(balances(ours.id, 0, ANA, 100));
    await bed.caughtUp();
    expect(await seen(ours.id)).toEqual({ id: ours.id, version: 1, doc: ours });
    expect((await seen(ANA))?.doc.balance).toBe(400);
    expect(await parked()).toHaveLength(1);
  });

  test('two projectors at once come to the same', async () => {
    await start();
    await start();
    const ours = account({ balance: 50_000 });
    await bed.publish(happened('account.created', { account: ours }));
    for (let i = 1; i <= 40; i++) await append(balances(ANA, i, i % 10 === 0 ? ours.id : EVA, 100 - i));
    await bed.caughtUp();
    expect((await seen(ANA))?.doc.balance).toBe(3_900);
    expect((await seen(EVA))?.doc.balance).toBe(6_100);
    expect((await seen(ours.id))?.doc.balance).toBe(50_000);
    expect(await parked()).toHaveLength(4);
  });

  test('while the store is away nothing is lost and nothing is refused', async () => {
    let away = true;
    await start(
      'own',
      watched(bed.documents, ({ name, args }) => {
        if (away && name === 'getMany' && args[0] === FOREIGN_ACCOUNTS) throw new EngineUnavailable('document store');
      }),
    );
    await append(balances(ANA, 1, EVA, 2));
    away = false;
    await bed.caughtUp();
    expect((await seen(ANA))?.doc.balance).toBe(100);
    expect(await parked()).toEqual([]);
  });

  test('our own messages on balances, and everything on transactions, change no account', async () => {
    await start();
    const Payload = {
      account_id_from: ANA,
      account_id_to: EVA,
      balance_account_id_from: 1,
      balance_account_id_to: 2,
    };
    await bed.publish(happened('BalanceUpdated', { Name: 'BalanceUpdated', Payload }));
    await bed.eventLog.append([
      {
        topic: 'transactions',
        key: null,
        headers: {},
        value: message({ id: newId(), amount: 1 }, 'TransactionCreated'),
      },
      { topic: 'transactions', key: null, headers: {}, value: 'garbage' },
    ]);
    await bed.caughtUp();
    expect(await seen(ANA)).toBeUndefined();
    expect(await parked()).toEqual([]);
  });

  describe('when all accounts are handed over', () => {
    test('the foreign side speaks for ours too: they keep their owner, and their versions go on', async () => {
      const ours = account({ balance: 50_000, version: 7 });
      await bed.publish(happened('account.balance_changed', { account: ours, transaction: transaction() }));
      await append(balances(ours.id, 0.5, ANA, 1));
      await start('external');
      await bed.caughtUp();
      expect(await seen(ours.id, 'external')).toMatchObject({
        version: 8,
        doc: { version: 8, balance: 50, userId: ours.userId, createdAt: ours.createdAt, origin: 'foreign' },
      });
      expect(await parked()).toEqual([]);
      const reader = withForeignAccounts(bed.documents, 'external');
      const lists = await reader.findPerKey<AccountDoc>('accounts', 'userId', [ours.userId as string], {
        sort: { field: 'createdAt', direction: 'asc' },
        first: 10,
      });
      expect(lists.get(ours.userId as string)?.map(({ doc }) => doc.balance)).toEqual([50]);
    });

    test('one that it has not spoken of yet stays as it was', async () => {
      const ours = account({ balance: 50_000, version: 7 });
      await bed.publish(happened('account.balance_changed', { account: ours, transaction: transaction() }));
      await start('external');
      await bed.caughtUp();
      expect(await seen(ours.id, 'external')).toEqual({ id: ours.id, version: 7, doc: ours });
    });

    test('what was said before in a race, or in a time handed over before, does not come up again', async () => {
      const ours = account({ balance: 100, version: 3 });
      await append(balances(ours.id, 9, ANA, 1));
      await start('own');
      await bed.caughtUp();
      await bed.publish(happened('account.balance_changed', { account: ours, transaction: transaction() }));
      await bed.caughtUp();
      await stopAll();
      // Taken for foreign in a race.
      expect(await seen(ours.id, 'external')).toMatchObject({ version: 3, doc: { balance: 100 } });

      await start('external');
      // The same balance as in the race: all the same it is new.
      await append(balances(ours.id, 9, ANA, 1));
      await bed.caughtUp();
      expect(await seen(ours.id, 'external')).toMatchObject({ version: 5, doc: { balance: 900 } });
      await stopAll();

      // Taken back: ours as we left it, and it goes on from there.
      expect(await seen(ours.id, 'own')).toMatchObject({ version: 3, doc: { balance: 100 } });
      await start('own');
      const next = { ...ours, version: 4, balance: 700 };
      await bed.publish(happened('account.balance_changed', { account: next, transaction: transaction() }));
      await bed.caughtUp();
      expect(await seen(ours.id, 'own')).toMatchObject({ version: 4, doc: { balance: 700 } });
      expect(await seen(ours.id, 'external')).toMatchObject({ version: 4, doc: { balance: 700 } });
    });
  });
});
