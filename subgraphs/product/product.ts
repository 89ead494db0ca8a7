import { AppError, assertNever } from '../../shared/errors/errors.js';
import type { ProductState } from '../../shared/events/states.js';

export type { ProductState } from '../../shared/events/states.js';

/** Most pieces of one product on hand. */
export const MAX_STOCK = 1_000_000_000;

/** What may be asked of a product. Ids and instants come in as data. */
export type ProductCommand =
  | {
      readonly type: 'create';
      readonly id: string;
      readonly name: string;
      readonly description: string;
      readonly price: number;
      readonly stock: number;
      readonly at: number;
    }
  | {
      readonly type: 'update';
      readonly name?: string | undefined;
      readonly description?: string | undefined;
      readonly price?: number | undefined;
      readonly stock?: number | undefined;
      readonly at: number;
    }
  | { readonly type: 'delete'; readonly at: number }
  /** What orders did to the stock, several of them summed up. */
  | { readonly type: 'moveStock'; readonly stock: number; readonly reserved: number; readonly at: number };

/** What happened to a product, as `product_events` keeps it: enough to rebuild the product from nothing. */
export type ProductEvent =
  | {
      readonly type: 'product.created';
      readonly id: string;
      readonly name: string;
      readonly description: string;
      readonly price: number;
      readonly stock: number;
      readonly at: number;
    }
  | {
      readonly type: 'product.updated';
      readonly name?: string | undefined;
      readonly description?: string | undefined;
      readonly price?: number | undefined;
      readonly stock?: number | undefined;
      readonly at: number;
    }
  | { readonly type: 'product.deleted'; readonly at: number }
  /** Differences, not totals. */
  | { readonly type: 'product.stock_changed'; readonly stock: number; readonly reserved: number; readonly at: number };

/** Pieces that can still be ordered; none of a product that is no longer sold. */
export const available = (product: ProductState): number => (product.deleted ? 0 : product.stock - product.reserved);

/**
 * The events a command leads to.
 * @throws AppError NOT_FOUND, CONFLICT
 */
export function decide(state: ProductState | null, command: ProductCommand): ProductEvent[] {
  if (command.type === 'create') {
    if (state !== null) throw new AppError('CONFLICT', `Product ${command.id} exists already.`, { field: 'id' });
    return [{ ...command, type: 'product.created' }];
  }
  if (state === null) throw new AppError('NOT_FOUND', 'There is no such product.', { field: 'id' });

  switch (command.type) {
    case 'update': {
      if (state.deleted) throw gone(state);
      if (command.stock !== undefined && command.stock < state.reserved) {
        const message = `${state.reserved} pieces are reserved by open orders; the stock cannot be set below that.`;
        throw new AppError('CONFLICT', message, { field: 'stock', details: { reserved: state.reserved } });
      }
      const { type: _, at, ...wanted } = command;
      const changes = Object.entries(wanted).filter(
        ([key, value]) => value !== undefined && value !== state[key as keyof typeof wanted],
      );
      return changes.length === 0 ? [] : [{ type: 'product.updated', ...Object.fromEntries(changes), at }];
    }
    case 'delete':
      if (state.deleted) throw gone(state);
      if (state.reserved > 0) {
        throw new AppError(
          'CONFLICT',
          `${state.reserved} pieces are reserved by open orders; finish or cancel those first.`,
          {
            field: 'id',
            details: { reserved: state.reserved },
          },
        );
      }
      return [{ type: 'product.deleted', at: command.at }];
    case 'moveStock':
      return command.stock === 0 && command.reserved === 0 ? [] : [{ ...command, type: 'product.stock_changed' }];
    default:
      return assertNever(command);
  }
}

const gone = (state: ProductState): AppError =>
  new AppError('NOT_FOUND', `There is no product ${state.id}.`, { field: 'id' });

/** The product after an event; its version rises by one. */
export function evolve(state: ProductState | null, event: ProductEvent): ProductState {
  if (event.type === 'product.created') {
    const { id, name, description, price, stock, at } = event;
    return {
      id,
      version: 1,
      name,
      description,
      price,
      stock,
      reserved: 0,
      deleted: false,
      createdAt: at,
      updatedAt: at,
    };
  }
  if (state === null) throw new Error(`${event.type} of a product that was never created`);
  const next = { ...state, version: state.version + 1, updatedAt: event.at };

  switch (event.type) {
    case 'product.updated':
      return {
        ...next,
        name: event.name ?? state.name,
        description: event.description ?? state.description,
        price: event.price ?? state.price,
        stock: event.stock ?? state.stock,
      };
    case 'product.deleted':
      return { ...next, deleted: true };
    case 'product.stock_changed':
      return { ...next, stock: state.stock + event.stock, reserved: state.reserved + event.reserved };
    default:
      return assertNever(event);
  }
}
