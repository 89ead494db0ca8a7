import DataLoader from 'dataloader';
import type { Database } from '../../shared/database/port.js';
import type { OrderState } from '../../shared/events/states.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { perRequest } from '../../shared/graphql/per-request.js';
import { requireAccess } from '../../shared/identity/identity.js';
import { parseId } from '../../shared/ids/ids.js';
import type { OrderCommands } from './commands.js';
import type { Resolvers } from './generated/schema-types.js';
import type { OrderStore } from './store.js';

export interface OrderResolverDeps {
  readonly database: Database;
  readonly store: OrderStore;
  readonly commands: OrderCommands;
}

/** Orders are shown to their customer and to administrators. */
export function orderResolvers({ database, store, commands }: OrderResolverDeps): Resolvers {
  const orders = perRequest(
    (_: RequestContext) =>
      new DataLoader<string, OrderState | null>(async (ids) => {
        const found = await store.find(database, ids);
        return ids.map((id) => found.get(id) ?? null);
      }),
  );

  return {
    Order: {
      // A version that comes along is never ahead of the write model.
      async __resolveReference({ id }, context) {
        const order = await orders(context).load(parseId(id));
        if (order === null || order.deleted) return null;
        requireAccess(context.identity, order.userId);
        return order;
      },
    },
    OrderItem: {
      subtotal: ({ quantity, unitPrice }) => quantity * unitPrice,
    },
    Mutation: {
      createOrder: async (_, { input }, context) => ({ order: await commands.create(context, input) }),
      payOrder: async (_, { input }, context) => ({ order: await commands.pay(context, input) }),
      cancelOrder: async (_, { input }, context) => ({ order: await commands.cancel(context, input) }),
      updateOrderStatus: async (_, { input }, context) => ({ order: await commands.updateStatus(context, input) }),
      deleteOrder: async (_, { input }, context) => ({ id: (await commands.remove(context, input)).id }),
    },
  };
}
