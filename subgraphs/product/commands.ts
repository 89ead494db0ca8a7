import type { CommandContext, Commands } from '../../shared/commands/commands.js';
import { expectVersion } from '../../shared/commands/version.js';
import { AppError, notFound } from '../../shared/errors/errors.js';
import { requireAdmin } from '../../shared/identity/identity.js';
import { newId, parseId } from '../../shared/ids/ids.js';
import { MAX_AMOUNT_CENTS } from '../../shared/money/money.js';
import { parseInteger, parseText } from '../../shared/validation/text.js';
import { decide, MAX_STOCK, type ProductCommand, type ProductState } from './product.js';
import type { ProductStore } from './store.js';

type Maybe<T> = T | null | undefined;

interface Keyed {
  readonly idempotencyKey?: Maybe<string>;
}

export interface CreateProduct extends Keyed {
  readonly name: string;
  readonly description?: Maybe<string>;
  /** Cents. */
  readonly price: number;
  readonly stock: number;
}

interface ChangeProduct extends Keyed {
  readonly id: string;
  readonly expectedVersion?: Maybe<number>;
}

export interface UpdateProduct extends ChangeProduct {
  readonly name?: Maybe<string>;
  readonly description?: Maybe<string>;
  readonly price?: Maybe<number>;
  readonly stock?: Maybe<number>;
}

export interface ProductCommands {
  /** `id` is for callers inside the system, demo data for one. */
  create(context: CommandContext, input: CreateProduct, id?: string): Promise<ProductState>;
  update(context: CommandContext, input: UpdateProduct): Promise<ProductState>;
  remove(context: CommandContext, input: ChangeProduct): Promise<ProductState>;
}

const parseName = (name: string): string => parseText(name, { field: 'name', max: 200 });
const parseDescription = (text: string): string =>
  parseText(text, { field: 'description', max: 5_000, optional: true, multiline: true });
const parsePrice = (cents: number): number => {
  if (cents >= 0 && cents <= MAX_AMOUNT_CENTS) return cents;
  throw new AppError('VALIDATION', 'A price is 0.00 to 10,000,000.00.', { field: 'price' });
};
const parseStock = (stock: number): number => parseInteger(stock, { field: 'stock', min: 0, max: MAX_STOCK });

/** Null says the same as leaving a field out: keep what is there. */
const given = <T, R>(value: Maybe<T>, parse: (value: T) => R): R | undefined =>
  value === null || value === undefined ? undefined : parse(value);

/** What administrators may do with the catalogue. */
export function productCommands({
  store,
  commands,
  now,
}: {
  readonly store: ProductStore;
  readonly commands: Commands;
  readonly now: () => number;
}): ProductCommands {
  const change = async (
    context: CommandContext,
    mutation: string,
    input: ChangeProduct,
    command: () => ProductCommand,
  ) => {
    requireAdmin(context.identity);
    const id = parseId(input.id);
    const wanted = command();
    return commands.run(context, {
      mutation,
      input,
      work: async (tx) => {
        const before = (await store.lockProducts(tx, [id])).get(id) ?? null;
        if (before === null || before.deleted) throw notFound('product', id);
        expectVersion(before, input.expectedVersion);
        const [after] = store.save(tx, [{ before, events: decide(before, wanted) }], context.traceparent);
        return after ?? before;
      },
    });
  };

  return {
    async create(context, input, id = newId()) {
      requireAdmin(context.identity);
      const command: ProductCommand = {
        type: 'create',
        id,
        name: parseName(input.name),
        description: given(input.description, parseDescription) ?? '',
        price: parsePrice(input.price),
        stock: parseStock(input.stock),
        at: now(),
      };
      return commands.run(context, {
        mutation: 'createProduct',
        input,
        work: async (tx) => {
          const [created] = store.save(tx, [{ before: null, events: decide(null, command) }], context.traceparent);
          return created as ProductState;
        },
      });
    },

    update: (context, input) =>
      change(context, 'updateProduct', input, () => {
        const { name, description, price, stock } = input;
        return {
          type: 'update',
          name: given(name, parseName),
          description: given(description, parseDescription),
          price: given(price, parsePrice),
          stock: given(stock, parseStock),
          at: now(),
        };
      }),

    remove: (context, input) => change(context, 'deleteProduct', input, () => ({ type: 'delete', at: now() })),
  };
}
