import DataLoader from 'dataloader';
import type { Database } from '../../shared/database/port.js';
import type { RequestContext } from '../../shared/graphql/context.js';
import { perRequest } from '../../shared/graphql/per-request.js';
import { parseId } from '../../shared/ids/ids.js';
import type { ProductCommands } from './commands.js';
import type { Resolvers } from './generated/schema-types.js';
import { available, type ProductState } from './product.js';
import type { ProductStore } from './store.js';

/** Anyone may see the catalogue; who may change it is checked by the commands. */
export function productResolvers({
  database,
  store,
  commands,
}: {
  readonly database: Database;
  readonly store: ProductStore;
  readonly commands: ProductCommands;
}): Resolvers {
  const products = perRequest(
    (_: RequestContext) =>
      new DataLoader<string, ProductState | null>(async (ids) => {
        const found = await store.findProducts(database, ids);
        return ids.map((id) => found.get(id) ?? null);
      }),
  );

  return {
    Product: {
      available,
      async __resolveReference({ id }, context) {
        const product = await products(context).load(parseId(id));
        return product === null || product.deleted ? null : product;
      },
    },
    Mutation: {
      createProduct: async (_, { input }, context) => ({ product: await commands.create(context, input) }),
      updateProduct: async (_, { input }, context) => ({ product: await commands.update(context, input) }),
      deleteProduct: async (_, { input }, context) => ({ id: (await commands.remove(context, input)).id }),
    },
  };
}
