import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ParkedDoc } from '../shared/dead-letters/letter.js';
import { ANONYMOUS } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { Shop, TREASURY_ID } from './shop.js';
import { collect, startTestSystem, userIdentity, type TestSystem } from './system.js';
import { until } from './until.js';

/** Another Wallet Core: it knows the topics and the JSON, and nothing else of us. */
export interface WalletCore {
  send(topic: 'balances' | 'transactions', ...values: readonly string[]): Promise<void>;
  /** The values of all records of a topic until now, from its first on. */
  heard(topic: 'balances' | 'transactions'): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface WalletCoreWorld {
  /** Where the system runs: the same each time it starts. */
  readonly dataDir?: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Called again after each start of the system. */
  readonly walletCore: (server: TestSystem) => Promise<WalletCore>;
  dispose(): Promise<void>;
}

interface BalanceMessage {
  readonly kind: string;
  readonly cursor: string;
  readonly balance: string | null;
  readonly account: { readonly id: string; readonly version: number } | null;
}

const ACCOUNT = `query ($id: ID!, $minVersion: Int) {
  account(id: $id, minVersion: $minVersion) { version userId owner { id } balance transactions { totalCount } }
}`;
const CHANGES = `subscription ($id: ID!, $after: String) {
  balanceChanged(accountId: $id, after: $after) { kind cursor balance account { id version owner { id } } }
}`;

const updated = (from: string, balanceFrom: number, to: string, balanceTo: number): string =>
  JSON.stringify({
    Name: 'BalanceUpdated',
    Payload: {
      account_id_from: from,
      account_id_to: to,
      balance_account_id_from: balanceFrom,
      balance_account_id_to: balanceTo,
    },
  });

/** The system is started several times; on servers that takes a while. */
const LONG_MS = 120_000;

/** What must hold whatever the engines are. */
export function walletCoreSuite(open: () => Promise<WalletCoreWorld>): void {
  let world: WalletCoreWorld;
  let shop: Shop;
  let wallet: WalletCore;
  let ana: string;

  const start = async (walletCore: 'own' | 'external'): Promise<void> => {
    const server = await startTestSystem({
      ...(world.dataDir !== undefined && { dataDir: world.dataDir }),
      settings: { ...world.settings, WALLET_CORE: walletCore },
    });
    shop = new Shop(server);
    wallet = await world.walletCore(server);
  };

  const restart = async (walletCore: 'own' | 'external'): Promise<void> => {
    await wallet.close();
    await shop.server.stop();
    await start(walletCore);
  };

  beforeAll(async () => {
    world = await open();
    await start('own');
    ana = (await shop.user()).id;
  }, LONG_MS);

  afterAll(async () => {
    await wallet.close();
    await shop.server.stop();
    await world.dispose();
  }, LONG_MS);

  /** What REST says of an account; undefined for 404. */
  const rest = async (id: string): Promise<{ readonly balance: number; readonly updated_at: string } | undefined> => {
    const response = await fetch(`http://127.0.0.1:${shop.server.config.ports.rest}/balances/${id}`);
    if (response.status === 404) return undefined;
    return (await response.json()) as { balance: number; updated_at: string };
  };

  const restReaches = (id: string, balance: number): Promise<unknown> =>
    until(async () => (await rest(id))?.balance === balance, { message: `${id} to hold ${balance}` });

  const deadReasons = async (): Promise<readonly string[]> => {
    const sort = { field: 'at', direction: 'asc' } as const;
    const found = await shop.server.engines.documents.find<ParkedDoc>('parked', { sort, limit: 1_000 });
    return found.map(({ doc }) => doc.error);
  };

  const follow = (id: string, after: string | null = null, identity?: Parameters<TestSystem['socket']>[0]) => {
    const { messages, state } = collect<{ balanceChanged: BalanceMessage }>(shop.server.socket(identity), CHANGES, {
      id,
      after,
    });
    return (count: number): Promise<readonly BalanceMessage[]> =>
      until(() => {
        expect(state.error).toBeUndefined();
        const told = messages.map(({ data, errors }) => {
          expect(errors).toBeUndefined();
          return data?.balanceChanged as BalanceMessage;
        });
        return told.length >= count && told;
      });
  };

  describe('while accounts are kept here', () => {
    test('what a foreign Wallet Core publishes is what REST and graph show', async () => {
      const [from, to] = [newId(), newId()];
      await wallet.send('balances', updated(from, 850.1, to, 1e3));
      await restReaches(from, 850.1);
      await restReaches(to, 1000);
      const { account } = await shop.server.ok<{ account: { version: number } }>(ACCOUNT, { id: from });
      expect(account).toMatchObject({ userId: null, owner: null, balance: '850.10', transactions: { totalCount: 0 } });
      expect(account.version).toBeGreaterThan(0);

      await wallet.send('balances', updated(to, 849.9999999999999, from, 1000.1));
      await restReaches(to, 850);
      const newer = { id: from, minVersion: account.version + 1 };
      expect(await shop.server.ok(ACCOUNT, newer)).toMatchObject({ account: { balance: '1000.10' } });
    });

    test('who follows a foreign account is told of its balances, and resumes where they stopped', async () => {
      const [id, other] = [newId(), newId()];
      await wallet.send('balances', updated(id, 10, other, 1));
      await restReaches(id, 10);
      const arrived = follow(id);
      expect(await arrived(1)).toMatchObject([{ kind: 'SNAPSHOT', balance: '10.00', account: { id } }]);
      await wallet.send('balances', updated(id, 10, other, 1), updated(id, 20, other, 1));
      const [, change] = await arrived(2);
      expect(change).toMatchObject({ kind: 'CHANGE', balance: '20.00', account: { id } });

      await wallet.send('balances', updated(other, 1, id, 30.5));
      await restReaches(id, 30.5);
      const [missed] = await follow(id, change?.cursor)(1);
      expect(missed).toMatchObject({ kind: 'CHANGE', balance: '30.50' });
      const resumed = follow(id, missed?.cursor);
      await wallet.send('balances', updated(other, 1, id, 40));
      expect((await resumed(1))[0]).toMatchObject({ kind: 'CHANGE', balance: '40.00' });
    });

    test('what comes twice changes nothing', async () => {
      const [from, to] = [newId(), newId()];
      const message = updated(from, 1.5, to, 2.5);
      await wallet.send('balances', message);
      await restReaches(to, 2.5);
      const before = [await rest(from), await rest(to)];
      await wallet.send('balances', message, message, updated(newId(), 1, to, 7));
      await restReaches(to, 7);
      expect(await rest(from)).toEqual(before[0]);
    });

    test('garbage is kept with the reason, and nothing waits for it', async () => {
      const id = newId();
      const before = (await deadReasons()).length;
      await wallet.send('balances', 'garbage', '{"Name":"BalanceUpdated","Payload":{}}', updated(id, 5, newId(), 1));
      await restReaches(id, 5);
      await until(async () => (await deadReasons()).length === before + 2);
      expect((await deadReasons()).slice(before).sort()).toEqual([
        'Payload.account_id_from must be a UUID; it is missing',
        'the value is not JSON',
      ]);
    });

    test('it cannot touch an account of ours, nor does anything else of such a message count', async () => {
      const stranger = newId();
      const before = (await deadReasons()).length;
      const id = await shop.account(ana, '100.00');
      await shop.balanceReaches(id, '100.00');
      await wallet.send('balances', updated(id, 0, stranger, 1_000_000), updated(stranger, 3, TREASURY_ID, 0));
      await until(async () => (await deadReasons()).length === before + 2);
      expect((await deadReasons()).slice(before)).toEqual([
        expect.stringMatching(/^ACCOUNT_OWNED: /),
        expect.stringMatching(/^ACCOUNT_OWNED: /),
      ]);
      expect(await rest(id)).toMatchObject({ balance: 100 });
      expect(await rest(stranger)).toBeUndefined();
      await shop.ledgerIsBalanced();
    });

    test('not even a message that overtakes the events of an account of ours changes it', async () => {
      const ids: string[] = [];
      for (let i = 0; i < 5; i++) {
        const id = await shop.account(ana);
        await wallet.send('balances', updated(id, 999, newId(), 1));
        ids.push(id);
      }
      for (const id of ids) await shop.run('deposit', { accountId: id, amount: '5.00' });
      for (const id of ids) {
        await shop.balanceReaches(id, '5.00');
        expect(await rest(id)).toMatchObject({ balance: 5 });
      }
      await shop.ledgerIsBalanced();
    });

    test('a foreign account belongs to nobody here, and no command reaches it', async () => {
      const id = newId();
      await wallet.send('balances', updated(id, 5, newId(), 1));
      await restReaches(id, 5);
      const forbidden = { code: 'FORBIDDEN', field: undefined };
      expect(await shop.refusal(ACCOUNT, { id }, userIdentity(ana))).toEqual(forbidden);
      expect(await shop.refusal(ACCOUNT, { id }, ANONYMOUS)).toMatchObject({ code: 'UNAUTHENTICATED' });
      const list = 'query ($id: ID!) { transactions(accountId: $id) { totalCount } }';
      expect(await shop.refusal(list, { id }, userIdentity(ana))).toEqual(forbidden);
      expect(await shop.server.ok(list, { id })).toEqual({ transactions: { totalCount: 0 } });
      const missing = { code: 'NOT_FOUND', field: 'accountId' };
      expect(await shop.refused('deposit', { accountId: id, amount: '1.00' })).toEqual(missing);
      const followed = collect(shop.server.socket(userIdentity(ana)), CHANGES, { id });
      await until(() => followed.messages.length > 0 || followed.state.error !== undefined);
      expect(JSON.stringify([followed.messages, followed.state.error])).toContain('FORBIDDEN');
    });

    test('what it says on transactions is passed over', async () => {
      const before = (await deadReasons()).length;
      const id = newId();
      const Payload = { id: newId(), account_id_from: id, account_id_to: newId(), amount: 100 };
      await wallet.send('transactions', JSON.stringify({ Name: 'TransactionCreated', Payload }), 'garbage');
      await wallet.send('balances', updated(id, 1, newId(), 2));
      await restReaches(id, 1);
      expect(await shop.server.ok(ACCOUNT, { id })).toMatchObject({ account: { transactions: { totalCount: 0 } } });
      expect(await deadReasons()).toHaveLength(before);
    });

    test('what we publish is what a Wallet Core would, to the cent', async () => {
      const [from, to] = [await shop.account(ana, '1000.10'), await shop.account(ana)];
      const { id } = await shop.run<{ id: string }>('transfer', {
        fromAccountId: from,
        toAccountId: to,
        amount: '333.37',
      });
      const find = (values: readonly string[], text: string): unknown[] =>
        values.filter((value) => value.includes(text)).map((value) => JSON.parse(value) as unknown);
      const accounts = { account_id_from: from, account_id_to: to };
      await until(async () => {
        // A relay may send the same thing twice.
        expect(find(await wallet.heard('transactions'), id)[0]).toEqual({
          Name: 'TransactionCreated',
          Payload: { id, ...accounts, amount: 333.37 },
        });
        expect(find(await wallet.heard('balances'), `"account_id_to":"${to}"`)[0]).toEqual({
          Name: 'BalanceUpdated',
          Payload: { ...accounts, balance_account_id_from: 666.73, balance_account_id_to: 333.37 },
        });
        return true;
      });
      // Digits as they stand in the text, and not one more.
      const [text] = (await wallet.heard('balances')).filter((value) => value.includes(`"account_id_to":"${to}"`));
      expect(text).toContain('"balance_account_id_from":666.73,');
    });
  });

  describe('when all accounts are handed over, and taken back', () => {
    test(
      'the foreign side alone changes them, and their owners see it',
      async () => {
        const id = await shop.account(ana, '80.00');
        const [product, untouched] = [await shop.product({ price: '1.00' }), await shop.account(ana, '7.00')];
        await shop.balanceReaches(id, '80.00');
        await shop.balanceReaches(untouched, '7.00');
        const [snapshot] = await follow(id)(1);
        const { id: orderId } = await shop.orderIn('AWAITING_PAYMENT', ana, [product.id, 1]);
        const paid = await shop.orderIn('AWAITING_PAYMENT', ana, [product.id, 1]);
        await shop.pay(paid.id, 'WALLET', untouched);
        await shop.reaches(paid.id, 'PAID');
        await shop.balanceReaches(untouched, '6.00');

        await restart('external');
        const stranger = newId();
        const arrived = follow(id, snapshot?.cursor, userIdentity(ana));
        expect(await arrived(2)).toMatchObject([{ kind: 'GAP' }, { kind: 'SNAPSHOT', balance: '80.00' }]);
        await wallet.send('balances', updated(id, 12.34, stranger, 67.66));
        await restReaches(id, 12.34);
        await restReaches(stranger, 67.66);
        expect((await arrived(3))[2]).toMatchObject({
          kind: 'CHANGE',
          balance: '12.34',
          account: { owner: { id: ana } },
        });
        expect(await shop.server.ok(ACCOUNT, { id }, userIdentity(ana))).toMatchObject({
          account: { userId: ana, owner: { id: ana }, balance: '12.34' },
        });
        const mine = 'query ($id: ID!) { user(id: $id) { accounts { id balance } } }';
        const { user } = await shop.server.ok<{ user: { accounts: object[] } }>(mine, { id: ana });
        expect(user.accounts).toEqual(expect.arrayContaining([{ id, balance: '12.34' }]));
        expect(user.accounts).toEqual(expect.arrayContaining([{ id: untouched, balance: '6.00' }]));

        const unavailable = { code: 'UNAVAILABLE', field: undefined };
        expect(await shop.refused('createAccount', { userId: ana })).toEqual(unavailable);
        expect(await shop.refused('deposit', { accountId: id, amount: '1.00' })).toEqual(unavailable);
        const move = { fromAccountId: id, toAccountId: untouched, amount: '1.00' };
        expect(await shop.refused('transfer', move)).toEqual(unavailable);
        expect(await shop.refused('payOrder', { id: orderId, method: 'WALLET', accountId: id })).toEqual(unavailable);
        expect(await shop.refused('deposit', { accountId: id, amount: '1.00' }, ANONYMOUS)).toMatchObject({
          code: 'UNAUTHENTICATED',
        });
        const { errors } = await shop.server.graphql(
          'mutation ($input: DepositInput!) { deposit(input: $input) { transaction { id } } }',
          { input: { accountId: id, amount: '1.00' } },
        );
        expect(errors?.[0]?.message).toContain('WALLET_CORE=external');
        await shop.pay(orderId, 'PIX');
        await shop.reaches(orderId, 'PAID');
        // What was paid from a wallet cannot be given back by whoever does not keep it: the refund waits.
        await shop.cancel(paid.id);
        await until(async () => {
          const rows = await shop.server.databases.get('tributary_balance')?.read('SELECT id FROM parked');
          return rows?.length === 1;
        });

        await restart('own');
        await shop.balanceReaches(untouched, '7.00');
        await shop.balanceReaches(id, '80.00');
        expect(await rest(stranger)).toMatchObject({ balance: 67.66 });
        await shop.run('deposit', { accountId: id, amount: '1.00' });
        await shop.balanceReaches(id, '81.00');
        await shop.ledgerIsBalanced();
      },
      LONG_MS,
    );
  });
}
