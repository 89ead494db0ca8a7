/**
 * Who may do what: the one table of it. Every field of Query, Mutation and Subscription has a row, or several where
 * arguments make a difference; authorisation.test.ts walks all of it, over every transport. What is behind a field is
 * checked where the data lives, in the resolvers and commands of the subgraphs.
 */
import type { ErrorCode } from '../shared/errors/errors.js';

/** Nobody in particular; whose things these are; somebody else; an administrator. */
export const CALLERS = ['anonymous', 'owner', 'other', 'admin'] as const;
export type CallerName = (typeof CALLERS)[number];

/** `null` is for fields that answer so instead of refusing. */
export type Verdict = 'yes' | 'null' | 'UNAUTHENTICATED' | 'FORBIDDEN';

/** Things of the owner's, and a product of the shop's. */
export interface Things {
  readonly userId: string;
  readonly orderId: string;
  readonly accountId: string;
  readonly productId: string;
}

export interface Rule {
  readonly document: string;
  readonly variables?: (things: Things, caller: CallerName) => Readonly<Record<string, unknown>>;
  readonly who: Readonly<Record<CallerName, Verdict>>;
  /**
   * The error that whoever may do it meets next, so that nothing happens and the row can be walked again: a `yes` is one
   * who gets that far. None for reads.
   */
  readonly next?: ErrorCode;
  /** What has to happen for a subscription to say something. */
  readonly stir?: 'order' | 'product';
}

const ANYONE = { anonymous: 'yes', owner: 'yes', other: 'yes', admin: 'yes' } as const;
const USERS = { ...ANYONE, anonymous: 'UNAUTHENTICATED' } as const;
const OWNER = { ...USERS, other: 'FORBIDDEN' } as const;
const ADMINS = { ...OWNER, owner: 'FORBIDDEN' } as const;

const UNKNOWN = '0190a000-0000-7000-8000-00000000dead';
/** No version is that. */
const expectedVersion = 999_999;
/** Looked at after who asks, and before anything is done. */
const TOO_LONG = 'x'.repeat(300);

type Input = (things: Things, caller: CallerName) => Readonly<Record<string, unknown>>;

const mutation = (field: string, type: string, selection: string, input: Input) => ({
  document: `mutation ($input: ${type}!) { ${field}(input: $input) { ${selection} } }`,
  variables: (things: Things, caller: CallerName) => ({ input: input(things, caller) }),
});

const ORDER_CHANGED = 'kind cursor order { id userId }';

/** By the field, and after a comma what is special about the row. */
export const AUTHORISATION: Readonly<Record<string, Rule>> = {
  'Query.me': { document: '{ me { id } }', who: { ...ANYONE, anonymous: 'null' } },
  'Query.user': {
    document: 'query ($id: ID!) { user(id: $id) { id } }',
    variables: ({ userId }) => ({ id: userId }),
    who: OWNER,
  },
  'Query.user, the orders': {
    document: 'query ($id: ID!) { user(id: $id) { orders { totalCount } accounts { id } } }',
    variables: ({ userId }) => ({ id: userId }),
    who: OWNER,
  },
  'Query.users': { document: '{ users { totalCount } }', who: ADMINS },
  'Query.product': {
    document: 'query ($id: ID!) { product(id: $id) { id } }',
    variables: ({ productId }) => ({ id: productId }),
    who: ANYONE,
  },
  'Query.products': { document: '{ products { totalCount } }', who: ANYONE },
  'Query.order': {
    document: 'query ($id: ID!) { order(id: $id) { id } }',
    variables: ({ orderId }) => ({ id: orderId }),
    who: OWNER,
  },
  'Query.orders': { document: '{ orders { totalCount } }', who: USERS },
  'Query.orders, of a user': {
    document: 'query ($userId: ID!) { orders(filter: { userId: $userId }) { totalCount } }',
    variables: ({ userId }) => ({ userId }),
    who: OWNER,
  },
  'Query.account': {
    document: 'query ($id: ID!) { account(id: $id) { id } }',
    variables: ({ accountId }) => ({ id: accountId }),
    who: OWNER,
  },
  'Query.transactions': {
    document: 'query ($accountId: ID!) { transactions(accountId: $accountId) { totalCount } }',
    variables: ({ accountId }) => ({ accountId }),
    who: OWNER,
  },
  'Query.timeline': {
    document: 'query ($id: ID!) { timeline(aggregateId: $id) { id } }',
    variables: ({ orderId }) => ({ id: orderId }),
    who: OWNER,
  },
  'Query.timeline, of a product': {
    document: 'query ($id: ID!) { timeline(aggregateId: $id) { id } }',
    variables: ({ productId }) => ({ id: productId }),
    who: ADMINS,
  },

  'Mutation.register': {
    ...mutation('register', 'RegisterInput', 'user { id }', () => ({
      name: 'x',
      email: 'x@example.com',
      password: 'short',
    })),
    who: ANYONE,
    next: 'VALIDATION',
  },
  'Mutation.login': {
    ...mutation('login', 'LoginInput', 'user { id }', () => ({ email: 'no address', password: 'a password' })),
    who: ANYONE,
    next: 'VALIDATION',
  },
  'Mutation.verifyEmail': {
    ...mutation('verifyEmail', 'VerifyEmailInput', 'user { id }', () => ({ token: 'no token' })),
    who: ANYONE,
    next: 'VALIDATION',
  },
  'Mutation.resendVerification': {
    ...mutation('resendVerification', 'ResendVerificationInput', 'accepted', () => ({ email: 'no address' })),
    who: ANYONE,
    next: 'VALIDATION',
  },
  'Mutation.changePassword': {
    ...mutation('changePassword', 'ChangePasswordInput', 'user { id }', () => ({
      currentPassword: 'a password',
      newPassword: 'short',
    })),
    who: USERS,
    next: 'VALIDATION',
  },
  'Mutation.createUser': {
    ...mutation('createUser', 'CreateUserInput', 'user { id }', () => ({ name: '', email: 'x@example.com' })),
    who: ADMINS,
    next: 'VALIDATION',
  },
  'Mutation.updateUser': {
    ...mutation('updateUser', 'UpdateUserInput', 'user { id }', ({ userId }) => ({
      id: userId,
      name: 'x',
      expectedVersion,
    })),
    who: OWNER,
    next: 'CONFLICT',
  },
  'Mutation.updateUser, the role': {
    ...mutation('updateUser', 'UpdateUserInput', 'user { id }', ({ userId }, caller) => ({
      id: userId,
      role: 'ADMIN',
      // Versions are compared first, and nobody is to become an administrator here.
      ...(caller === 'admin' && { expectedVersion }),
    })),
    who: ADMINS,
    next: 'CONFLICT',
  },
  'Mutation.deleteUser': {
    ...mutation('deleteUser', 'DeleteUserInput', 'id', ({ userId }) => ({ id: userId, expectedVersion })),
    who: OWNER,
    next: 'CONFLICT',
  },
  'Mutation.createProduct': {
    ...mutation('createProduct', 'CreateProductInput', 'product { id }', () => ({ name: '', price: '1.00', stock: 1 })),
    who: ADMINS,
    next: 'VALIDATION',
  },
  'Mutation.updateProduct': {
    ...mutation('updateProduct', 'UpdateProductInput', 'product { id }', ({ productId }) => ({
      id: productId,
      name: 'x',
      expectedVersion,
    })),
    who: ADMINS,
    next: 'CONFLICT',
  },
  'Mutation.deleteProduct': {
    ...mutation('deleteProduct', 'DeleteProductInput', 'id', ({ productId }) => ({ id: productId, expectedVersion })),
    who: ADMINS,
    next: 'CONFLICT',
  },
  'Mutation.createOrder': {
    ...mutation('createOrder', 'CreateOrderInput', 'order { id }', () => ({ items: [] })),
    who: USERS,
    next: 'VALIDATION',
  },
  'Mutation.createOrder, for a user': {
    ...mutation('createOrder', 'CreateOrderInput', 'order { id }', ({ userId }) => ({ items: [], userId })),
    who: OWNER,
    next: 'VALIDATION',
  },
  'Mutation.payOrder': {
    ...mutation('payOrder', 'PayOrderInput', 'order { id }', ({ orderId }) => ({
      id: orderId,
      method: 'PIX',
      expectedVersion,
    })),
    who: OWNER,
    next: 'CONFLICT',
  },
  'Mutation.cancelOrder': {
    ...mutation('cancelOrder', 'CancelOrderInput', 'order { id }', ({ orderId }) => ({ id: orderId, expectedVersion })),
    who: OWNER,
    next: 'CONFLICT',
  },
  'Mutation.updateOrderStatus': {
    ...mutation('updateOrderStatus', 'UpdateOrderStatusInput', 'order { id }', ({ orderId }) => ({
      id: orderId,
      status: 'PROCESSING',
      expectedVersion,
    })),
    who: ADMINS,
    next: 'CONFLICT',
  },
  'Mutation.deleteOrder': {
    ...mutation('deleteOrder', 'DeleteOrderInput', 'id', ({ orderId }) => ({ id: orderId, expectedVersion })),
    who: OWNER,
    next: 'CONFLICT',
  },
  'Mutation.createAccount': {
    ...mutation('createAccount', 'CreateAccountInput', 'account { id }', () => ({ idempotencyKey: TOO_LONG })),
    who: USERS,
    next: 'VALIDATION',
  },
  'Mutation.createAccount, for a user': {
    ...mutation('createAccount', 'CreateAccountInput', 'account { id }', ({ userId }) => ({
      userId,
      idempotencyKey: TOO_LONG,
    })),
    who: OWNER,
    next: 'VALIDATION',
  },
  'Mutation.deposit': {
    ...mutation('deposit', 'DepositInput', 'transaction { id }', ({ accountId }) => ({
      accountId,
      amount: '1.00',
      idempotencyKey: TOO_LONG,
    })),
    who: ADMINS,
    next: 'VALIDATION',
  },
  'Mutation.transfer': {
    ...mutation('transfer', 'TransferInput', 'transaction { id }', ({ accountId }) => ({
      fromAccountId: accountId,
      toAccountId: UNKNOWN,
      amount: '1.00',
    })),
    who: OWNER,
    next: 'NOT_FOUND',
  },

  'Subscription.orderStatusChanged': {
    document: `subscription { orderStatusChanged { ${ORDER_CHANGED} } }`,
    who: ADMINS,
    stir: 'order',
  },
  'Subscription.orderStatusChanged, of an order': {
    document: `subscription ($orderId: ID!) { orderStatusChanged(orderId: $orderId) { ${ORDER_CHANGED} } }`,
    variables: ({ orderId }) => ({ orderId }),
    who: OWNER,
  },
  'Subscription.orderStatusChanged, of a user': {
    document: `subscription ($userId: ID!) { orderStatusChanged(userId: $userId) { ${ORDER_CHANGED} } }`,
    variables: ({ userId }) => ({ userId }),
    who: OWNER,
  },
  'Subscription.stockChanged': {
    document: 'subscription ($productId: ID!) { stockChanged(productId: $productId) { id } }',
    variables: ({ productId }) => ({ productId }),
    who: ANYONE,
    stir: 'product',
  },
  'Subscription.balanceChanged': {
    document: 'subscription ($accountId: ID!) { balanceChanged(accountId: $accountId) { kind cursor } }',
    variables: ({ accountId }) => ({ accountId }),
    who: OWNER,
  },
};
