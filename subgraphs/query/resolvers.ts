import type { DocumentStore } from '../../shared/document-store/port.js';
import { notFound } from '../../shared/errors/errors.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { requireAccess, requireAdmin, requireUser } from '../../shared/identity/identity.js';
import { parseId } from '../../shared/ids/ids.js';
import type { Resolvers } from './generated/schema-types.js';
import {
  ACCOUNTS_OF_USER,
  MAX_ACCOUNTS,
  orderList,
  ORDERS_OF_USER,
  productList,
  transactionList,
  TRANSACTIONS_OF_ACCOUNT,
  userList,
} from './lists.js';
import { isDeleted, ownerOf, type Reads, type ReadsOf } from './reads.js';
import { readPage } from './relay.js';
import { readTimeline } from './timeline.js';
import type { ProductDoc, UserDoc, OrderDoc, TransactionDoc } from './views.js';

export interface QueryResolversDeps {
  readonly documents: DocumentStore;
  readonly readsOf: ReadsOf;
}

/**
 * The graph's queries and everything that leads from one thing to another. Anyone sees products, users what is theirs,
 * administrators all; deleted things are not there. All but the subscriptions.
 */
export function queryResolvers({ documents, readsOf }: QueryResolversDeps): Resolvers {
  return {
    Query: {
      user: (_, args, context) => readsOf(context).one('users', args),
      product: (_, args, context) => readsOf(context).one('products', args),
      order: (_, args, context) => readsOf(context).one('orders', args),
      account: (_, args, context) => readsOf(context).one('accounts', args),
      users(_, args, { identity }) {
        requireAdmin(identity);
        return readPage<UserDoc>(documents, userList(args), args);
      },
      products: (_, args) => readPage<ProductDoc>(documents, productList(args), args),
      orders: (_, args, { identity }) => readPage<OrderDoc>(documents, orderList(identity, args), args),
      async transactions(_, args, context) {
        const accountId = parseId(args.accountId, 'accountId');
        requireUser(context.identity);
        const account = await readsOf(context).byId('accounts', accountId);
        if (account === null) throw notFound('account', accountId, 'accountId');
        requireAccess(context.identity, ownerOf(account.doc));
        return readPage<TransactionDoc>(documents, transactionList(accountId, args.sort), args);
      },
      timeline: (_, args, context) => timeline(documents, readsOf(context), context, args.aggregateId),
    },
    User: {
      __resolveReference: (key, context) => readsOf(context).reference('users', key),
      // Documents from before there was a choice have none.
      locale: ({ locale }: Partial<Pick<UserDoc, 'locale'>>) => locale ?? 'EN',
      orders(user, args, context) {
        requireAccess(context.identity, user.id);
        return readsOf(context).page(ORDERS_OF_USER, user.id, args);
      },
      accounts(user, _, context) {
        requireAccess(context.identity, user.id);
        return readsOf(context).all(ACCOUNTS_OF_USER, user.id, MAX_ACCOUNTS);
      },
    },
    Product: {
      __resolveReference: (key, context) => readsOf(context).reference('products', key),
      available: ({ stock, reserved }) => stock - reserved,
    },
    Order: {
      __resolveReference: (key, context) => readsOf(context).reference('orders', key),
      user: ({ userId }, _, context) => readsOf(context).linked('users', userId),
    },
    OrderItem: {
      product: ({ productId }, _, context) => readsOf(context).linked('products', productId),
      subtotal: ({ quantity, unitPrice }) => quantity * unitPrice,
    },
    Account: {
      __resolveReference: (key, context) => readsOf(context).reference('accounts', key),
      owner: ({ userId }, _, context) => (userId === null ? null : readsOf(context).linked('users', userId)),
      transactions(account, args, context) {
        requireAccess(context.identity, account.userId);
        return readsOf(context).page(TRANSACTIONS_OF_ACCOUNT, account.id, args);
      },
    },
  };
}

/** The owner's and the administrators'; a product's is for administrators only. */
async function timeline(documents: DocumentStore, reads: Reads, { identity }: RequestContext, aggregateId: string) {
  const id = parseId(aggregateId, 'aggregateId');
  requireUser(identity);
  const [order, account, user, product] = await Promise.all([
    reads.byId('orders', id),
    reads.byId('accounts', id),
    reads.byId('users', id),
    reads.byId('products', id),
  ]);
  const found = order ?? account ?? user ?? product;
  if (found === null || isDeleted(found.doc)) throw notFound('aggregate', id, 'aggregateId');
  requireAccess(identity, ownerOf(found.doc));
  const entries = await readTimeline(documents, id);
  return entries.map(({ id: eventId, doc }) => ({ ...doc, id: eventId, aggregateId: id, offset: String(doc.offset) }));
}
