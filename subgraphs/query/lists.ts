import type { Condition, Filter, FindOptions, Sort } from '../../shared/document-store/port.js';
import type { OrderStatus } from '../../shared/events/states.js';
import { requireAccess, requireUser, type Identity } from '../../shared/identity/identity.js';
import { parseId } from '../../shared/ids/ids.js';
import { parseText, searchWords } from '../../shared/validation/text.js';
import type {
  OrderFilter,
  OrderSort,
  ProductFilter,
  ProductSort,
  TransactionSort,
  UserFilter,
  UserSort,
} from './generated/schema-types.js';
import type { OwnedList } from './reads.js';
import type { ListSpec } from './relay.js';
import type { OrderDoc } from './views.js';

/** What clients may list, translated to the document store. */

const NEWEST: Sort = { field: 'createdAt', direction: 'desc' };
const OLDEST: Sort = { field: 'createdAt', direction: 'asc' };

const BY_NAME = {
  NAME_ASC: { field: 'sortName', direction: 'asc' },
  NAME_DESC: { field: 'sortName', direction: 'desc' },
} as const;

const USER_SORTS: Readonly<Record<UserSort, Sort>> = { CREATED_AT_DESC: NEWEST, CREATED_AT_ASC: OLDEST, ...BY_NAME };

const PRODUCT_SORTS: Readonly<Record<ProductSort, Sort>> = {
  ...USER_SORTS,
  PRICE_ASC: { field: 'price', direction: 'asc' },
  PRICE_DESC: { field: 'price', direction: 'desc' },
};

const ORDER_SORTS: Readonly<Record<OrderSort, Sort>> = {
  CREATED_AT_DESC: NEWEST,
  CREATED_AT_ASC: OLDEST,
  TOTAL_DESC: { field: 'total', direction: 'desc' },
  TOTAL_ASC: { field: 'total', direction: 'asc' },
};

const TRANSACTION_SORTS: Readonly<Record<TransactionSort, Sort>> = { CREATED_AT_DESC: NEWEST, CREATED_AT_ASC: OLDEST };

const NOT_DELETED: Filter = [{ field: 'deleted', is: { eq: false } }];

interface ListArgs<F, S> {
  readonly filter?: F | null | undefined;
  readonly sort?: S | null | undefined;
}

/** @throws AppError VALIDATION field `filter.search`. */
export function userList({ filter, sort }: ListArgs<UserFilter, UserSort>): ListSpec {
  return {
    list: 'users',
    collection: 'users',
    filter: [...NOT_DELETED, ...search(filter?.search)],
    sort: USER_SORTS[sort ?? 'CREATED_AT_DESC'],
  };
}

/** @throws AppError VALIDATION field `filter.search`. */
export function productList({ filter, sort }: ListArgs<ProductFilter, ProductSort>): ListSpec {
  const { minPrice, maxPrice, inStock } = filter ?? {};
  return {
    list: 'products',
    collection: 'products',
    filter: [
      ...NOT_DELETED,
      ...search(filter?.search),
      ...range('price', { ...(minPrice != null && { gte: minPrice }), ...(maxPrice != null && { lte: maxPrice }) }),
      ...range('available', inStock == null ? {} : inStock ? { gt: 0 } : { lte: 0 }),
    ],
    sort: PRODUCT_SORTS[sort ?? 'CREATED_AT_DESC'],
  };
}

/**
 * Users list their own orders, whatever else they filter by.
 * @throws AppError UNAUTHENTICATED; FORBIDDEN for the orders of another user; VALIDATION field `filter.userId`.
 */
export function orderList(identity: Identity, { filter, sort }: ListArgs<OrderFilter, OrderSort>): ListSpec {
  const caller = requireUser(identity);
  const asked = filter?.userId == null ? null : parseId(filter.userId, 'filter.userId');
  if (asked !== null) requireAccess(identity, asked);
  const userId = asked ?? (caller.role === 'ADMIN' ? null : caller.userId);
  const { status, createdAfter, createdBefore } = filter ?? {};
  return {
    list: 'orders',
    collection: 'orders',
    filter: [
      ...NOT_DELETED,
      ...(userId === null ? [] : [{ field: 'userId', is: { eq: userId } }]),
      // Sorted and once each, so that a cursor does not hang on how the client wrote them.
      ...(status == null ? [] : [{ field: 'status', is: { in: [...new Set(status)].sort() } }]),
      ...range('createdAt', {
        ...(createdAfter != null && { gte: createdAfter }),
        ...(createdBefore != null && { lt: createdBefore }),
      }),
    ],
    sort: ORDER_SORTS[sort ?? 'CREATED_AT_DESC'],
  };
}

export function transactionList(accountId: string, sort: TransactionSort | null | undefined): ListSpec {
  return {
    list: 'transactions',
    collection: 'transactions',
    filter: [{ field: 'accountId', is: { eq: accountId } }],
    sort: TRANSACTION_SORTS[sort ?? 'CREATED_AT_DESC'],
  };
}

export const ORDERS_OF_USER: OwnedList<'orders'> = {
  list: 'User.orders',
  collection: 'orders',
  field: 'userId',
  filter: NOT_DELETED,
  sort: NEWEST,
};

export const ACCOUNTS_OF_USER: OwnedList<'accounts'> = {
  list: 'User.accounts',
  collection: 'accounts',
  field: 'userId',
  filter: [],
  sort: OLDEST,
};

export const TRANSACTIONS_OF_ACCOUNT: OwnedList<'transactions'> = {
  list: 'Account.transactions',
  collection: 'transactions',
  field: 'accountId',
  filter: [],
  sort: NEWEST,
};

/** Whether something may still happen to an order. */
export const isOpen = ({ status, deleted }: OrderDoc): boolean => !deleted && OPEN.includes(status);

const OPEN: readonly OrderStatus[] = ['PENDING', 'AWAITING_PAYMENT', 'PAID', 'PROCESSING'];

/** A user's newest open orders, of those made at such times. */
export const openOrders = (userId: string, limit: number, createdAt: Condition = {}): FindOptions => ({
  filter: [
    { field: 'userId', is: { eq: userId } },
    { field: 'status', is: { in: OPEN } },
    ...range('createdAt', createdAt),
    ...NOT_DELETED,
  ],
  sort: NEWEST,
  limit,
});

/** `User.accounts` has no pages; nobody is expected to come near. */
export const MAX_ACCOUNTS = 1_000;

const MAX_SEARCH_LENGTH = 100;

/** Every word must begin some word of the document. Blank finds everything, only punctuation nothing. */
function search(text: string | null | undefined): Filter {
  const wanted = parseText(text ?? '', { field: 'filter.search', max: MAX_SEARCH_LENGTH, optional: true });
  if (wanted === '') return [];
  const words = searchWords(wanted).sort();
  if (words.length === 0) return [{ field: 'id', is: { in: [] } }];
  return words.map((word) => ({ field: 'search', is: { prefix: word } }));
}

const range = (field: string, is: Condition): Filter => (Object.keys(is).length === 0 ? [] : [{ field, is }]);
