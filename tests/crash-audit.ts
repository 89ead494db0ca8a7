/** Asks a quiet system whether what it says fits together, and fits what it has said yes to. */
import { SALES_ID, TREASURY_ID } from '../subgraphs/balance/account.js';
import { IDENTITY_HEADER, signIdentity } from '../shared/identity/identity.js';
import { sendUntilAnswered, type Accepted, type World } from './crash-load.js';

export interface AuditInput {
  /** The gateway. */
  readonly url: string;
  /** Address of a write subgraph, and the secret it shares with the gateway. */
  readonly subgraphUrl: (name: 'user' | 'product' | 'order' | 'balance') => string;
  readonly identitySecret: string;
  readonly world: World;
  readonly accepted: Accepted;
  /** Pieces on hand of each product at the beginning. */
  readonly stock: ReadonlyMap<string, number>;
  /** Cents in each customer's account at the beginning. */
  readonly deposit: number;
}

export interface OrderView {
  readonly id: string;
  readonly version: number;
  readonly userId: string;
  readonly status: string;
  readonly total: string;
  readonly cancelReason: string | null;
  readonly items: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: string }[];
  readonly payment: { readonly method: string; readonly status: string; readonly reference: string | null } | null;
  readonly history: readonly { readonly version: number; readonly status: string; readonly reason: string | null }[];
}

interface ProductView {
  readonly id: string;
  readonly version: number;
  readonly stock: number;
  readonly reserved: number;
  readonly available: number;
  readonly price: string;
}

interface AccountView {
  readonly id: string;
  readonly version: number;
  readonly balance: string;
}

interface TimelineEntry {
  readonly id: string;
  readonly type: string;
  readonly topic: string;
  readonly version: number;
  readonly data: { readonly order?: { readonly payment: { readonly paymentId: string } | null } };
}

interface TransactionView {
  readonly id: string;
  readonly kind: string;
}

interface Page<T> {
  readonly nodes: readonly T[];
  readonly totalCount: number;
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

export interface Audit {
  readonly orders: readonly OrderView[];
  readonly lost: number;
  readonly duplicated: number;
  /** One line per thing that does not fit. */
  readonly problems: readonly string[];
}

const ORDER_FIELDS = `id version userId status total cancelReason items { productId quantity unitPrice }
  payment { method status reference } history { version status reason }`;
const PRODUCT_FIELDS = `id version stock reserved available price`;
const ACCOUNT_FIELDS = `id version balance`;

const ORDERS = `query ($after: String) {
  orders(first: 100, after: $after) { nodes { ${ORDER_FIELDS} } totalCount pageInfo { hasNextPage endCursor } }
}`;
const TRANSACTIONS = `query ($accountId: ID!, $after: String) {
  transactions(accountId: $accountId, first: 100, after: $after) {
    nodes { id kind } totalCount pageInfo { hasNextPage endCursor }
  }
}`;
const TIMELINE = `query ($id: ID!) { timeline(aggregateId: $id) { id type topic version data } }`;
const PRODUCT = `query ($id: ID!) { product(id: $id) { ${PRODUCT_FIELDS} } }`;
const ACCOUNT = `query ($id: ID!) { account(id: $id) { ${ACCOUNT_FIELDS} } }`;

/** Questions asked at the same time. */
const CONCURRENCY = 8;

const cents = (decimal: string): number => Math.round(Number(decimal) * 100);

export async function query<T>(url: string, document: string, variables: Readonly<Record<string, unknown>> = {}) {
  const outcome = await sendUntilAnswered<T>(url, document, variables);
  if ('code' in outcome) throw new Error(`${outcome.code}: ${outcome.message}`);
  return outcome.data;
}

async function pages<T>(url: string, field: string, document: string, variables: object = {}): Promise<T[]> {
  const nodes: T[] = [];
  let total: number;
  let after: string | null = null;
  for (;;) {
    const answer: Readonly<Record<string, Page<T> | undefined>> = await query(url, document, { ...variables, after });
    const page = answer[field];
    if (page === undefined) throw new Error(`no ${field} in the answer`);
    nodes.push(...page.nodes);
    after = page.pageInfo.endCursor;
    total = page.totalCount;
    if (!page.pageInfo.hasNextPage) break;
  }
  if (total !== nodes.length) throw new Error(`${field}: ${nodes.length} on all pages, but totalCount is ${total}`);
  return nodes;
}

export const readOrders = (url: string): Promise<OrderView[]> => pages<OrderView>(url, 'orders', ORDERS);

/** Whether nothing is under way any more for this order. */
export const isSettled = ({ status, payment }: OrderView): boolean =>
  status !== 'PENDING' &&
  payment?.status !== 'REQUESTED' &&
  payment?.status !== 'WAITING_FOR_STOCK' &&
  !(status === 'CANCELED' && payment?.status === 'COMPLETED');

export async function audit(input: AuditInput): Promise<Audit> {
  const { url, world, accepted } = input;
  const problems: string[] = [];
  const expect = (ok: boolean, problem: () => string): void => {
    if (!ok) problems.push(problem());
  };

  const orders = await readOrders(url);
  const products = await all([...world.products, world.counterId], async (id) => {
    const { product } = await query<{ product: ProductView }>(url, PRODUCT, { id });
    return product;
  });
  const accountIds = [TREASURY_ID, SALES_ID, ...world.customers.map(({ accountId }) => accountId)];
  const accounts = await all(accountIds, async (id) => {
    const { account } = await query<{ account: AccountView }>(url, ACCOUNT, { id });
    return account;
  });

  const seen = new Set(orders.map(({ id }) => id));
  const said = new Set(accepted.orders);
  const lostOrders = accepted.orders.filter((id) => !seen.has(id));
  const strangers = orders.filter(({ id }) => !said.has(id));
  expect(lostOrders.length === 0, () => `accepted orders that are not there: ${lostOrders.join(', ')}`);
  expect(strangers.length === 0, () => `orders nobody heard of: ${strangers.map(({ id }) => id).join(', ')}`);
  expect(said.size === accepted.orders.length, () => 'two keys were answered with one order');
  for (const order of orders)
    expect(isSettled(order), () => `order ${order.id} is not settled: ${JSON.stringify(order)}`);

  auditStock(input, orders, products, expect);
  auditMoney(input, orders, accounts, expect);
  const moved = await auditTransfers(input, expect);
  await auditTimelines(input, orders, products, accounts, expect);
  await auditWriteModels(input, { orders, products, accounts }, expect);
  return {
    orders,
    lost: lostOrders.length + moved.lost,
    duplicated: strangers.length + moved.duplicated,
    problems,
  };
}

type Expect = (ok: boolean, problem: () => string) => void;

const HOLDING = new Set(['AWAITING_PAYMENT', 'PAID', 'PROCESSING']);

function auditStock(
  { world, accepted, stock }: AuditInput,
  orders: readonly OrderView[],
  products: readonly ProductView[],
  expect: Expect,
): void {
  const pieces = (id: string, counts: (order: OrderView) => boolean): number =>
    orders
      .filter(counts)
      .flatMap(({ items }) => items)
      .reduce((sum, { productId, quantity }) => sum + (productId === id ? quantity : 0), 0);
  for (const { id, stock: onHand, reserved, available } of products) {
    const sold = pieces(id, ({ status }) => status === 'COMPLETED');
    const held = pieces(id, ({ status }) => HOLDING.has(status));
    const before = id === world.counterId ? accepted.counted : (stock.get(id) ?? 0);
    expect(onHand === before - sold, () => `product ${id}: ${before} less ${sold} sold are not ${onHand}`);
    expect(reserved === held, () => `product ${id}: ${reserved} reserved, open orders hold ${held}`);
    expect(available === onHand - reserved, () => `product ${id}: ${available} available`);
  }
}

function auditMoney(
  { world, accepted, deposit }: AuditInput,
  orders: readonly OrderView[],
  accounts: readonly AccountView[],
  expect: Expect,
): void {
  const balances = new Map(accounts.map(({ id, balance }) => [id, cents(balance)]));
  const sum = [...balances.values()].reduce((total, one) => total + one, 0);
  expect(sum === 0, () => `all accounts together hold ${sum} cents`);
  const fromWallet = orders.filter(({ payment }) => payment?.method === 'WALLET' && payment.status === 'COMPLETED');
  const paid = (userId?: string): number =>
    fromWallet
      .filter((order) => userId === undefined || order.userId === userId)
      .reduce((s, o) => s + cents(o.total), 0);
  expect(balances.get(SALES_ID) === paid(), () => `sales hold ${balances.get(SALES_ID)}, orders paid ${paid()}`);
  for (const { userId, accountId } of world.customers) {
    const moved = accepted.transfers.reduce(
      (s, { from, to, cents: amount }) => s + (to === accountId ? amount : 0) - (from === accountId ? amount : 0),
      0,
    );
    const due = deposit + moved - paid(userId);
    expect(balances.get(accountId) === due, () => `account ${accountId} holds ${balances.get(accountId)}, not ${due}`);
  }
}

/** Every accepted transfer is in the lists of both its accounts, once, and no other is. */
async function auditTransfers({ url, world, accepted }: AuditInput, expect: Expect) {
  let [lost, duplicated] = [0, 0];
  for (const { accountId } of world.customers) {
    const listed = await pages<TransactionView>(url, 'transactions', TRANSACTIONS, { accountId });
    const ids = listed.filter(({ kind }) => kind === 'TRANSFER').map(({ id }) => id);
    const due = accepted.transfers.filter(({ from, to }) => from === accountId || to === accountId).map(({ id }) => id);
    const missing = due.filter((id) => !ids.includes(id));
    const surplus = ids.length - new Set(ids.filter((id) => due.includes(id))).size;
    expect(missing.length === 0, () => `account ${accountId} misses transfers ${missing.join(', ')}`);
    expect(surplus === 0, () => `account ${accountId} lists ${surplus} transfers too many`);
    lost += missing.length;
    duplicated += surplus;
  }
  return { lost, duplicated };
}

/** Every event once, versions 1 to n per aggregate and topic, and what was accepted happened as often as it was. */
async function auditTimelines(
  { url, world, accepted }: AuditInput,
  orders: readonly OrderView[],
  products: readonly ProductView[],
  accounts: readonly AccountView[],
  expect: Expect,
): Promise<void> {
  const read = async (id: string): Promise<readonly TimelineEntry[]> => {
    const { timeline } = await query<{ timeline: readonly TimelineEntry[] }>(url, TIMELINE, { id });
    expect(new Set(timeline.map((entry) => entry.id)).size === timeline.length, () => `${id} has an event twice`);
    for (const [topic, versions] of versionsByTopic(timeline)) {
      const contiguous = versions.every((version, index) => version === index + 1);
      expect(contiguous, () => `${id}: versions on ${topic} are ${versions.join(' ')}`);
    }
    return timeline;
  };
  const newest = (timeline: readonly TimelineEntry[], topic: string): number | undefined =>
    versionsByTopic(timeline).get(topic)?.at(-1);
  const times = (list: readonly string[], id: string): number => list.filter((one) => one === id).length;

  await all(orders, async ({ id, version, status, history }) => {
    const timeline = await read(id);
    expect(newest(timeline, 'orders') === version, () => `order ${id} is shown at ${version}, not the newest`);
    const payments = new Set(timeline.flatMap(({ data }) => data.order?.payment?.paymentId ?? []));
    const asked = times(accepted.payments, id);
    expect(payments.size === asked, () => `order ${id}: ${asked} payments accepted, ${payments.size} made`);
    const captures = timeline.filter(({ type }) => type === 'payment.completed').length;
    expect(captures <= 1, () => `order ${id} was paid ${captures} times`);
    const canceled = times(accepted.cancels, id);
    expect(
      canceled <= 1 && (canceled === 0 || status === 'CANCELED'),
      () => `order ${id}: ${canceled} cancels, ${status}`,
    );
    for (const move of accepted.moves.filter((one) => one.id === id)) {
      const reached = history.filter((entry) => entry.status === move.status).length;
      expect(reached === 1, () => `order ${id} reached ${move.status} ${reached} times`);
    }
    const held = timeline.filter(({ topic }) => topic === 'stock').at(-1)?.type;
    expect(
      held === STOCK_EVENT[status] || (status === 'CANCELED' && held === 'stock.rejected'),
      () => `order ${id}: ${status}, ${held}`,
    );
  });
  await all(products, async ({ id, version }) => {
    const timeline = await read(id);
    expect(newest(timeline, 'products') === version, () => `product ${id} is shown at ${version}, not the newest`);
    const updates = timeline.filter(({ type }) => type === 'product.updated').length;
    const due = id === world.counterId ? accepted.counted : times(accepted.prices, id);
    expect(updates === due, () => `product ${id}: ${due} changes accepted, ${updates} made`);
  });
  await all(accounts, async ({ id, version }) => {
    const timeline = await read(id);
    expect(newest(timeline, 'accounts') === version, () => `account ${id} is shown at ${version}, not the newest`);
  });
}

/** The last word of the stock on an order. */
const STOCK_EVENT: Readonly<Record<string, string>> = {
  AWAITING_PAYMENT: 'stock.reserved',
  PAID: 'stock.reserved',
  PROCESSING: 'stock.reserved',
  COMPLETED: 'stock.consumed',
  CANCELED: 'stock.released',
};

function versionsByTopic(timeline: readonly TimelineEntry[]): ReadonlyMap<string, number[]> {
  const topics = new Map<string, number[]>();
  for (const { topic, version } of timeline) topics.set(topic, [...(topics.get(topic) ?? []), version]);
  return topics;
}

/** The views say what the write models say. */
async function auditWriteModels(
  { subgraphUrl, identitySecret }: AuditInput,
  views: { orders: readonly OrderView[]; products: readonly ProductView[]; accounts: readonly AccountView[] },
  expect: Expect,
): Promise<void> {
  const compare = async (
    subgraph: 'product' | 'order' | 'balance',
    typename: string,
    fields: string,
    shown: readonly { readonly id: string }[],
  ): Promise<void> => {
    for (let start = 0; start < shown.length; start += PER_REQUEST) {
      const some = shown.slice(start, start + PER_REQUEST);
      const response = await fetch(subgraphUrl(subgraph), {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          [IDENTITY_HEADER]: signIdentity({ role: 'ADMIN', userId: 'audit' }, subgraph, identitySecret, Date.now()),
        },
        body: JSON.stringify({
          query: `query ($of: [_Any!]!) { _entities(representations: $of) { ... on ${typename} { ${fields} } } }`,
          variables: { of: some.map(({ id }) => ({ __typename: typename, id })) },
        }),
      });
      const { data } = (await response.json()) as { readonly data: { readonly _entities: readonly unknown[] } };
      some.forEach((view, index) => {
        const [written, read] = [JSON.stringify(data._entities[index]), JSON.stringify(view)];
        expect(written === read, () => `${typename} ${view.id} is written as ${written}, shown as ${read}`);
      });
    }
  };
  await compare('order', 'Order', ORDER_FIELDS, views.orders);
  await compare('product', 'Product', PRODUCT_FIELDS, views.products);
  await compare('balance', 'Account', ACCOUNT_FIELDS, views.accounts);
}

const PER_REQUEST = 100;

/** In the order of the list, a few at a time. */
async function all<T, R>(list: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < list.length; index = next++) answers[index] = await ask(list[index] as T);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  return answers;
}
