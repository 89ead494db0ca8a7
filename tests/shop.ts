import { expect } from '@jest/globals';
import type { Versioned } from '../shared/document-store/port.js';
import type { AccountState } from '../shared/events/states.js';
import type { Identity } from '../shared/identity/identity.js';
import { newId } from '../shared/ids/ids.js';
import { silentLogger } from '../shared/observability/logger.js';
import { SALES_ID, TREASURY_ID } from '../subgraphs/balance/account.js';
import { ADMIN, uniqueEmail, type TestSystem } from './system.js';
import { until } from './until.js';

export interface UserView {
  readonly id: string;
  readonly version: number;
  readonly name: string;
  readonly email: string;
}

export interface ProductView {
  readonly id: string;
  readonly version: number;
  readonly name: string;
  readonly price: string;
  readonly stock: number;
  readonly reserved: number;
  readonly available: number;
}

export type OrderStatus = 'PENDING' | 'AWAITING_PAYMENT' | 'PAID' | 'PROCESSING' | 'COMPLETED' | 'CANCELED';
export type PaymentMethod = 'CREDIT_CARD' | 'PIX' | 'BOLETO' | 'WALLET';

export interface OrderView {
  readonly id: string;
  readonly version: number;
  readonly status: OrderStatus;
  readonly total: string;
  readonly userId: string;
  readonly items: readonly {
    readonly productId: string;
    readonly name: string;
    readonly quantity: number;
    readonly unitPrice: string;
    readonly subtotal: string;
  }[];
  readonly payment: {
    readonly method: PaymentMethod;
    readonly status: string;
    readonly reference: string | null;
  } | null;
  readonly cancelReason: string | null;
  readonly history: readonly {
    readonly version: number;
    readonly status: OrderStatus;
    readonly reason: string | null;
  }[];
  readonly createdAt: string;
}

export interface Refusal {
  readonly code: string;
  readonly field: string | undefined;
}

export const USER_FIELDS = 'id version name email';
export const PRODUCT_FIELDS = 'id version name price stock reserved available';
export const ORDER_FIELDS = `id version status total userId createdAt cancelReason
  items { productId name quantity unitPrice subtotal }
  payment { method status reference }
  history { version status reason }`;

/** Every mutation of the graph, with an answer that the write side gives alone. */
export const MUTATIONS = {
  createUser: `mutation ($input: CreateUserInput!) { createUser(input: $input) { user { ${USER_FIELDS} } } }`,
  updateUser: `mutation ($input: UpdateUserInput!) { updateUser(input: $input) { user { ${USER_FIELDS} } } }`,
  deleteUser: 'mutation ($input: DeleteUserInput!) { deleteUser(input: $input) { id } }',
  createProduct: `mutation ($input: CreateProductInput!) { createProduct(input: $input) { product { ${PRODUCT_FIELDS} } } }`,
  updateProduct: `mutation ($input: UpdateProductInput!) { updateProduct(input: $input) { product { ${PRODUCT_FIELDS} } } }`,
  deleteProduct: 'mutation ($input: DeleteProductInput!) { deleteProduct(input: $input) { id } }',
  createOrder: `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { ${ORDER_FIELDS} } } }`,
  payOrder: `mutation ($input: PayOrderInput!) { payOrder(input: $input) { order { ${ORDER_FIELDS} } } }`,
  cancelOrder: `mutation ($input: CancelOrderInput!) { cancelOrder(input: $input) { order { ${ORDER_FIELDS} } } }`,
  updateOrderStatus: `mutation ($input: UpdateOrderStatusInput!) { updateOrderStatus(input: $input) { order { ${ORDER_FIELDS} } } }`,
  deleteOrder: 'mutation ($input: DeleteOrderInput!) { deleteOrder(input: $input) { id } }',
  createAccount: `mutation ($input: CreateAccountInput!) { createAccount(input: $input) { account { id version userId balance } } }`,
  deposit: `mutation ($input: DepositInput!) { deposit(input: $input) { transaction { id kind fromAccountId toAccountId amount } } }`,
  transfer: `mutation ($input: TransferInput!) { transfer(input: $input) { transaction { id kind fromAccountId toAccountId amount } } }`,
} as const;

export type MutationName = keyof typeof MUTATIONS;
type Input = Readonly<Record<string, unknown>>;

/** The shop as its people use it, through the gateway. What is not named is done by the administrator. */
export class Shop {
  private products = 0;

  constructor(readonly server: TestSystem) {}

  /** Runs a mutation and answers what it made: `createOrder`'s order, `transfer`'s transaction, `deleteUser`'s id. */
  async run<T>(mutation: MutationName, input: Input, identity?: Identity): Promise<T> {
    const data = await this.server.ok<Record<string, Record<string, T>>>(MUTATIONS[mutation], { input }, identity);
    return Object.values(data[mutation] ?? {})[0] as T;
  }

  /** Code and field of the error that a mutation is refused with; undefined where it is not. */
  refused(mutation: MutationName, input: Input, identity?: Identity): Promise<Refusal | undefined> {
    return this.refusal(MUTATIONS[mutation], { input }, identity);
  }

  /** The same for any operation. */
  async refusal(query: string, variables?: Input, identity?: Identity): Promise<Refusal | undefined> {
    const { errors } = await this.server.graphql(query, variables, identity);
    const extensions = errors?.[0]?.extensions;
    return extensions === undefined ? undefined : { code: extensions.code, field: extensions.field };
  }

  user(input: Input = {}): Promise<UserView> {
    return this.run('createUser', { name: 'Ana Souza', email: uniqueEmail(), ...input });
  }

  /** Somebody with a confirmed address, who may order for themselves. */
  async customer(input: Input = {}): Promise<UserView> {
    const user = await this.user(input);
    const context = { identity: ADMIN, requestId: newId(), traceparent: null, log: silentLogger() };
    await this.server.system.user.commands.vouchFor(context, [user]);
    return { ...user, version: user.version + 1 };
  }

  product(input: Input = {}): Promise<ProductView> {
    return this.run('createProduct', { name: `Product ${++this.products}`, price: '10.00', stock: 10, ...input });
  }

  /** Answers its id. */
  async account(userId: string, balance?: string): Promise<string> {
    const { id } = await this.run<{ id: string }>('createAccount', { userId });
    if (balance !== undefined) await this.run('deposit', { accountId: id, amount: balance });
    return id;
  }

  order(userId: string, ...items: readonly [productId: string, quantity: number][]): Promise<OrderView> {
    return this.run('createOrder', {
      userId,
      items: items.map(([productId, quantity]) => ({ productId, quantity })),
    });
  }

  pay(id: string, method: PaymentMethod = 'PIX', accountId?: string): Promise<OrderView> {
    return this.run('payOrder', { id, method, ...(accountId === undefined ? {} : { accountId }) });
  }

  cancel(id: string, reason?: string): Promise<OrderView> {
    return this.run('cancelOrder', { id, ...(reason === undefined ? {} : { reason }) });
  }

  /** A new order, brought to the status by what people do. */
  async orderIn(
    status: OrderStatus,
    userId: string,
    ...items: [productId: string, quantity: number][]
  ): Promise<OrderView> {
    const { id } = await this.order(userId, ...items);
    if (status === 'CANCELED') return this.cancel(id);
    if (status === 'PENDING') throw new Error('an order does not stay PENDING');
    const waiting = await this.reaches(id, 'AWAITING_PAYMENT');
    if (status === 'AWAITING_PAYMENT') return waiting;
    await this.pay(id);
    const paid = await this.reaches(id, 'PAID');
    if (status === 'PAID') return paid;
    const processing = await this.run<OrderView>('updateOrderStatus', { id, status: 'PROCESSING' });
    return status === 'PROCESSING' ? processing : this.run('updateOrderStatus', { id, status: 'COMPLETED' });
  }

  async orderNow(id: string, identity?: Identity): Promise<OrderView> {
    const query = `query ($id: ID!) { order(id: $id) { ${ORDER_FIELDS} } }`;
    const { order } = await this.server.ok<{ order: OrderView }>(query, { id }, identity);
    return order;
  }

  /** Waits until the read side shows the order like that. */
  orderWhere(id: string, what: string, holds: (order: OrderView) => boolean): Promise<OrderView> {
    let last: OrderView | undefined;
    return until(
      async () => {
        last = await this.orderNow(id);
        return holds(last) && last;
      },
      { message: () => `order ${id} to be ${what}; it is ${JSON.stringify(last)}` },
    );
  }

  /** Waits until the read side shows the order with this status. */
  reaches(id: string, status: OrderStatus): Promise<OrderView> {
    return this.orderWhere(id, status, (order) => order.status === status);
  }

  /** Waits until the read side shows the current payment like that. */
  paymentReaches(id: string, status: string): Promise<OrderView> {
    return this.orderWhere(id, `with a payment ${status}`, ({ payment }) => payment?.status === status);
  }

  async productNow(id: string): Promise<ProductView> {
    const query = `query ($id: ID!) { product(id: $id) { ${PRODUCT_FIELDS} } }`;
    return (await this.server.ok<{ product: ProductView }>(query, { id })).product;
  }

  /** Waits until so many pieces of the product are on hand and reserved. */
  async stockReaches(id: string, stock: number, reserved: number): Promise<void> {
    await until(async () => {
      const now = await this.productNow(id);
      expect({ stock: now.stock, reserved: now.reserved, available: now.available }).toEqual({
        stock,
        reserved,
        available: stock - reserved,
      });
      return true;
    });
  }

  async balanceOf(id: string): Promise<string> {
    const query = 'query ($id: ID!) { account(id: $id) { balance } }';
    return (await this.server.ok<{ account: { balance: string } }>(query, { id })).account.balance;
  }

  async balanceReaches(id: string, balance: string): Promise<void> {
    await until(async () => {
      expect(await this.balanceOf(id)).toBe(balance);
      return true;
    });
  }

  /** Waits until the user service knows of so many open orders and accounts with money: only then do they protect a user. */
  async untilBound(userId: string, count = 1): Promise<void> {
    const sql = 'SELECT subject FROM obligations WHERE user_id = ? AND open = 1';
    await until(async () => {
      const rows = await this.server.databases.get('tributary_user')?.read(sql, [userId]);
      return rows?.length === count;
    });
  }

  /** Waits until all balances that the read side knows, the house's included, are zero together. */
  async ledgerIsBalanced(): Promise<void> {
    await until(async () => {
      const accounts = await this.server.engines.documents.find<AccountState>('accounts', {
        filter: [],
        sort: { field: 'createdAt', direction: 'asc' },
        limit: 10_000,
      });
      const kinds = accounts.map(({ doc }: Versioned<AccountState>) => doc.kind);
      expect(kinds).toEqual(expect.arrayContaining(['TREASURY', 'SALES']));
      expect(accounts.reduce((sum, { doc }) => sum + doc.balance, 0)).toBe(0);
      return true;
    });
  }
}

export { SALES_ID, TREASURY_ID };
