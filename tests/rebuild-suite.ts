import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { projectionsCommand } from '../app/commands/projections.js';
import { UserError, WRITE_SUBGRAPHS, type Toolbox } from '../app/toolbox.js';
import type { Database } from '../shared/database/port.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import type { Service } from '../shared/service/service.js';
import { collectionOf, generationsOf, readGenerations } from '../subgraphs/query/generations.js';
import { createProjector } from '../subgraphs/query/projector.js';
import { VIEWS, type ViewName } from '../subgraphs/query/views.js';
import type { Cuttable } from './cuttable.js';
import { Shop, type OrderView } from './shop.js';
import { collect, startTestSystem, type TestSystem } from './system.js';
import { until } from './until.js';

export interface RebuildWorld {
  readonly settings: Readonly<Record<string, string>>;
  /** Drops everything that is in the log, as retention does in time. */
  cutLog(server: TestSystem): Promise<void>;
  /** The way to the document store; absent where it cannot be away. */
  readonly documents?: Pick<Cuttable, 'cut' | 'mend'>;
  dispose(): Promise<void>;
}

const ORDER = `mutation ($input: CreateOrderInput!) {
  createOrder(input: $input) { order { id version userId user { id name } items { productId product { name } } } }
}`;
type Ordered = { createOrder: { order: OrderView & { user: { name: string } | null } } };

const LONG_MS = 180_000;

/** What must hold whatever the engines are; `away`: whether their document store can be. */
export function rebuildSuite(open: () => Promise<RebuildWorld>, { away }: { readonly away: boolean }): void {
  let world: RebuildWorld;
  let server: TestSystem;
  let shop: Shop;
  let second: Service;
  let printed: string[];

  beforeAll(async () => {
    world = await open();
    server = await startTestSystem({ settings: world.settings });
    shop = new Shop(server);
    const { eventLog, documents } = server.engines;
    second = createProjector({ eventLog, documents, log: silentLogger(), metrics: createMetrics(), now: Date.now });
    await second.start();
  }, LONG_MS);

  afterAll(async () => {
    await second.stop();
    await server.dispose();
    await world.dispose();
  }, LONG_MS);

  async function projections(...args: readonly string[]): Promise<void> {
    printed = [];
    const toolbox: Toolbox = {
      config: server.config,
      log: silentLogger(),
      engines: () => Promise.resolve(server.engines),
      documents: () => Promise.resolve(server.engines.documents),
      database: (subgraph) => Promise.resolve(databaseOf(subgraph)),
      print: (text) => void printed.push(text),
      confirm: () => Promise.resolve(false),
    };
    await projectionsCommand(toolbox).parseAsync([...args], { from: 'user' });
  }

  function databaseOf(subgraph: string): Database {
    const database = server.databases.get(`tributary_${subgraph}`);
    if (database === undefined) throw new Error(`no database of ${subgraph}`);
    return database;
  }

  /** What the databases say is there, by document: its version. */
  async function wanted(view: ViewName): Promise<Map<string, number>> {
    const rows = (subgraph: string, table: string) =>
      databaseOf(subgraph).read<{ id: string; version: number }>(`SELECT id, version FROM ${table}`);
    const versions = (found: readonly { id: string; version: number }[]) =>
      new Map(found.map(({ id, version }) => [id, version]));
    switch (view) {
      case 'users':
        return versions(await rows('user', 'users'));
      case 'products':
        return versions(await rows('product', 'products'));
      case 'orders':
        return versions(await rows('order', 'orders'));
      case 'accounts':
        return versions(await rows('balance', 'accounts'));
      case 'transactions': {
        const found = await databaseOf('balance').read<{ id: string; one: string; other: string }>(
          'SELECT id, from_account_id AS one, to_account_id AS other FROM transactions',
        );
        return new Map(
          found.flatMap(({ id, one, other }) => [
            [`${id}:${one}`, 1],
            [`${id}:${other}`, 1],
          ]),
        );
      }
    }
  }

  async function shown(view: ViewName): Promise<Map<string, number>> {
    const { documents } = server.engines;
    const { current } = generationsOf(await readGenerations(documents), view);
    const options = { sort: { field: 'id', direction: 'asc' }, limit: 100_000 } as const;
    const found = await documents.find(collectionOf(view, current), options);
    return new Map(found.map(({ id, version }) => [id, version]));
  }

  async function everythingIsShown(): Promise<void> {
    for (const view of VIEWS) {
      await until(async () => {
        expect([view, await shown(view)]).toEqual([view, await wanted(view)]);
        return true;
      });
    }
  }

  /** Rows of reactions in every database, of snapshots only. */
  async function reactionsToSnapshots(): Promise<number> {
    const snapshots = new Set<string>();
    for (const subgraph of WRITE_SUBGRAPHS) {
      const rows = await databaseOf(subgraph).read<{ event_id: string; headers: string }>(
        'SELECT event_id, headers FROM outbox WHERE aggregate_id IS NULL',
      );
      for (const { event_id, headers } of rows) if (headers.includes('.snapshot')) snapshots.add(event_id);
    }
    expect(snapshots.size).toBeGreaterThan(0);
    let handled = 0;
    for (const subgraph of WRITE_SUBGRAPHS) {
      const rows = await databaseOf(subgraph).read<{ event_id: string }>(
        'SELECT event_id FROM processed_events UNION ALL SELECT event_id FROM parked',
      );
      handled += rows.filter(({ event_id }) => snapshots.has(event_id)).length;
    }
    return handled;
  }

  test(
    'all views are rebuilt while people go on, from a log that has nothing left, and nobody notices',
    async () => {
      const [ana, gone] = [await shop.user(), await shop.user()];
      const [phone, quiet, old] = [await shop.product({ stock: 1_000 }), await shop.product(), await shop.product()];
      const wallet = await shop.account(ana.id, '100.00');
      const first = await shop.orderIn('COMPLETED', ana.id, [phone.id, 1]);
      const canceled = await shop.orderIn('CANCELED', ana.id, [phone.id, 1]);
      const waiting = await shop.orderIn('AWAITING_PAYMENT', ana.id, [phone.id, 2]);
      for (let count = 0; count < 20; count++) await shop.order(ana.id, [phone.id, 1]);
      await shop.run('deleteUser', { id: gone.id });
      await shop.run('deleteProduct', { id: old.id });
      const foreign = newId();
      await server.engines.eventLog.append([
        { topic: 'balances', key: null, headers: {}, value: foreignBalance(foreign, 12.5) },
      ]);
      const foreignShown = async () =>
        (await fetch(`http://127.0.0.1:${server.config.ports.rest}/balances/${foreign}`)).text();
      await until(async () => (await foreignShown()).includes('"balance":12.50'));
      await everythingIsShown();

      const client = server.socket();
      const quietStreams = [
        collect(client, 'subscription ($id: ID!) { orderStatusChanged(orderId: $id) { kind } }', { id: waiting.id }),
        collect(client, 'subscription ($id: ID!) { balanceChanged(accountId: $id) { kind } }', { id: wallet }),
        collect(client, 'subscription ($id: ID!) { stockChanged(productId: $id) { id } }', { id: quiet.id }),
      ];
      const told = () => quietStreams.map(({ messages }) => messages.length).join();
      // Snapshots, but of the stock: it has only changes.
      await until(() => told() === '1,1,0');

      await world.cutLog(server);
      for (const [view, id] of [
        ['orders', canceled.id],
        ['users', gone.id],
        ['products', old.id],
      ] as const) {
        await server.engines.documents.remove(view, [id]);
      }

      let stop = false;
      const ordered: string[] = [];
      const people = (async () => {
        while (!stop) {
          const input = { userId: ana.id, items: [{ productId: phone.id, quantity: 1 }] };
          const { createOrder } = await server.ok<Ordered>(ORDER, { input });
          // Read back at once, by the version just written.
          const { id, version, user } = createOrder.order;
          expect(user?.name).toBe(ana.name);
          const { order } = await server.ok<{ order: OrderView }>(
            'query ($id: ID!, $version: Int) { order(id: $id, minVersion: $version) { id version } }',
            { id, version },
          );
          expect(order.version).toBeGreaterThanOrEqual(version);
          ordered.push(id);
          expect((await shop.orderNow(first.id)).status).toBe('COMPLETED');
          if (ordered.length % 5 === 0) await shop.cancel(id);
          await delay(20);
        }
      })();
      people.catch(() => undefined);
      await projections('rebuild').finally(() => (stop = true));
      await people;

      expect(ordered.length).toBeGreaterThan(10);
      await everythingIsShown();
      const doc = await readGenerations(server.engines.documents);
      expect(VIEWS.map((view) => generationsOf(doc, view))).toEqual(
        VIEWS.map(() => ({ current: 2, others: [], last: 2 })),
      );
      for (const view of VIEWS) expect(await server.engines.documents.count(view)).toBe(0);
      expect(printed.filter((line) => /^orders +2 /.test(line))).toHaveLength(1);

      expect(await foreignShown()).toContain('"balance":12.50');
      expect(told()).toBe('1,1,0');
      expect(await reactionsToSnapshots()).toBe(0);
      // They hear of what happens after it.
      await shop.pay(waiting.id);
      await shop.run('updateProduct', { id: quiet.id, stock: 3 });
      await until(() => /^[2-9],1,1$/.test(told()));
    },
    LONG_MS,
  );

  test(
    'one view is rebuilt alone',
    async () => {
      await shop.product();
      await projections('rebuild', 'products');
      await everythingIsShown();
      await projections('status');
      const generationOf = (view: string): string | undefined =>
        printed.find((line) => line.startsWith(`${view} `))?.split(/ +/)[1];
      expect([generationOf('products'), generationOf('orders')]).toEqual(['3', '2']);
      expect(printed.at(-1)).toBe('No rebuild is under way.');
    },
    LONG_MS,
  );

  (away ? test : test.skip)(
    'while the document store is away a rebuild waits, and goes on when it is back',
    async () => {
      const { documents } = server.engines;
      await shop.user();
      const rebuilding = projections('rebuild', 'users');
      rebuilding.catch(() => undefined);
      await until(async () => (await readGenerations(documents)).rebuild?.step === 'publish');
      await world.documents?.cut();
      await until(() =>
        documents.ping().then(
          () => false,
          () => true,
        ),
      );
      await world.documents?.mend();
      await rebuilding;
      expect(generationsOf(await readGenerations(documents), 'users').current).toBe(3);
      await everythingIsShown();
    },
    LONG_MS,
  );

  test('what cannot be rebuilt is said so', async () => {
    await expect(projections('rebuild', 'timeline')).rejects.toThrow(/timeline cannot be rebuilt/);
    await expect(projections('rebuild', 'order')).rejects.toThrow(UserError);
    await projections('abort');
    expect(printed).toEqual(['There is no rebuild.']);
  });
}

const foreignBalance = (id: string, balance: number): string =>
  JSON.stringify({
    Name: 'BalanceUpdated',
    Payload: {
      account_id_from: id,
      account_id_to: id,
      balance_account_id_from: balance,
      balance_account_id_to: balance,
    },
  });
