/** How many orders the order API takes: alone on MySQL beside what MySQL does bare, and in a system that runs. */
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { openEngines } from '../app/engines.js';
import { readConfig } from '../shared/config/config.js';
import { IDENTITY_HEADER, signIdentity } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { ORDER_MIGRATIONS } from '../subgraphs/order/migrations/index.js';
import { Replicas } from '../subgraphs/order/replicas.js';
import { FLEET_SECRET } from '../tests/fleet.js';
import { freePorts } from '../tests/ports.js';
import { startProcess } from '../tests/process.js';
import { until } from '../tests/until.js';
import { bareTransactions, type BareInsert } from './bare.js';
import { concurrently, httpClient, type GraphQL } from './client.js';
import { CREATE_ORDER } from './orders.js';

/** Requests under way at a time, on as many connections. */
const CLIENTS = 32;
const PRODUCTS = 20;

/** Who orders what. */
export interface Shop {
  readonly userId: string;
  readonly products: readonly string[];
}

/** Orders per second that are said yes to, so many at a time; some are not counted. */
async function accepted(graphql: GraphQL, { userId, products }: Shop, orders: number): Promise<number> {
  const order = async (index: number): Promise<void> => {
    const items = [{ productId: products[index % products.length], quantity: 1 }];
    await graphql(CREATE_ORDER, { input: { userId, items } });
  };
  await concurrently(CLIENTS * 10, CLIENTS, order);
  const begun = performance.now();
  await concurrently(orders, CLIENTS, order);
  return (orders * 1_000) / (performance.now() - begun);
}

/** At the gateway's port. */
export async function acceptedAtGateway(port: number, shop: Shop, orders: number): Promise<number> {
  const { graphql, close } = httpClient(port, CLIENTS);
  try {
    return await accepted(graphql, shop, orders);
  } finally {
    await close();
  }
}

/** At the order API's own port, asked as the gateway asks. */
export async function acceptedAtOrderApi(port: number, shop: Shop, orders: number): Promise<number> {
  const identity = { role: 'ADMIN', userId: shop.userId } as const;
  const { graphql, close } = httpClient(port, CLIENTS, () => ({
    [IDENTITY_HEADER]: signIdentity(identity, 'order', FLEET_SECRET, Date.now()),
  }));
  try {
    return await accepted(graphql, shop, orders);
  } finally {
    await close();
  }
}

export interface LoneOrderApi {
  /** Orders accepted per second. */
  ours(orders: number): Promise<number>;
  /** Bare transactions per second of the rows that such an order leaves, in the same tables. */
  bare(orders: number): Promise<number>;
  stop(): Promise<void>;
}

/** Starts the order API as a process of its own, without its worker or any other, on a database that knows a shop. */
export async function startLoneOrderApi(settings: Readonly<Record<string, string>>): Promise<LoneOrderApi> {
  const config = readConfig(settings);
  if (config.engines.kind !== 'servers') throw new Error('This needs servers.');
  const { url, poolSize } = config.engines.mysql;
  const database = `${config.engines.namespace.replaceAll('-', '_')}_tributary_order`;
  const shop = await fillReplicas(config);
  const port = (await freePorts(1))[0] ?? 0;
  const api = startProcess(process.execPath, ['dist/main.js', 'run', 'order-api'], {
    ...settings,
    IDENTITY_SECRET: FLEET_SECRET,
    LOG_LEVEL: 'warn',
    ORDER_PORT: String(port),
  });
  await until(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok, {
    message: () => `order-api to be ready; it has written:\n${api.output()}`,
  });
  const ours = (orders: number): Promise<number> => acceptedAtOrderApi(port, shop, orders);
  return {
    ours,
    async bare(orders) {
      const inserts = await rowsOfAnOrder(url, database, ours);
      return bareTransactions({ url, database, poolSize, atATime: CLIENTS }, orders, inserts);
    },
    async stop() {
      await api.end('SIGTERM');
      const connection = await mysql.createConnection(url);
      await connection.query('DROP DATABASE ??', [database]);
      await connection.end();
    },
  };
}

/** What the worker would have put into the replicas. */
export async function fillReplicas(config: ReturnType<typeof readConfig>): Promise<Shop> {
  const engines = await openEngines(config, { clientId: 'bench', log: silentLogger(), needs: ['database'] });
  const database = await engines.openDatabase({ name: 'tributary_order', migrations: ORDER_MIGRATIONS });
  await database.migrate();
  const replicas = new Replicas(database, Date.now);
  const userId = newId();
  const products = Array.from({ length: PRODUCTS }, newId);
  const common = { version: 1, name: 'Bench', deleted: false, createdAt: 1, updatedAt: 1 };
  await database.transaction(async (tx) => {
    const user = {
      ...common,
      id: userId,
      email: 'bench@example.com',
      role: 'USER',
      locale: 'EN',
      verified: true,
    } as const;
    await replicas.saveUsers(tx, [user]);
    const product = { ...common, description: '', price: 1_000, stock: 1_000_000, reserved: 0 };
    await replicas.saveProducts(
      tx,
      products.map((id) => ({ ...product, id })),
    );
  });
  await database.close();
  await engines.close();
  return { userId, products };
}

/** The rows of an order that was accepted, under fresh ids. */
async function rowsOfAnOrder(
  url: string,
  database: string,
  accept: (orders: number) => Promise<number>,
): Promise<readonly BareInsert[]> {
  const connection = await mysql.createConnection(`${url}/${database}`);
  const first = async (table: string): Promise<Record<string, string | number | null> | undefined> =>
    (await connection.query<RowDataPacket[]>(`SELECT * FROM ${table} LIMIT 1`))[0][0];
  if ((await first('orders')) === undefined) await accept(1);
  const order = await first('orders');
  // MySQL gives it a number of its own.
  const { id: _, ...event } = (await first('outbox')) ?? {};
  const timer = await first('timers');
  await connection.end();
  return [
    { table: 'orders', row: () => ({ ...order, id: newId() }) },
    { table: 'outbox', row: () => ({ ...event, event_id: newId(), aggregate_id: newId() }) },
    { table: 'timers', row: () => ({ ...timer, order_id: newId() }) },
  ];
}
