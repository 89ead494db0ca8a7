import { assertNever } from '../../shared/errors/errors.js';
import type { ReservationState } from '../../shared/events/states.js';
import { available, type ProductState } from './product.js';

export type { ReservationState } from '../../shared/events/states.js';

export interface ReservedItem {
  readonly productId: string;
  readonly quantity: number;
}

/** What an order's events ask of its reservation. */
export type ReservationCommand =
  | { readonly type: 'reserve'; readonly orderId: string; readonly items: readonly ReservedItem[]; readonly at: number }
  | { readonly type: 'release'; readonly orderId: string; readonly at: number }
  | { readonly type: 'consume'; readonly orderId: string; readonly at: number };

export type ReservationEventType = 'stock.reserved' | 'stock.rejected' | 'stock.released' | 'stock.consumed';

export interface Outcome {
  /** The reservation afterwards; null where nothing changed. */
  readonly reservation: ReservationKept | null;
  /** What to publish; null for a tombstone, which tells nobody anything new. */
  readonly event: ReservationEventType | null;
  /** What it does to each product's stock and reserved pieces. */
  readonly moves: readonly { readonly productId: string; readonly stock: number; readonly reserved: number }[];
}

/** As kept: version 0 marks the tombstone of an order that was canceled before it could be reserved. */
export type ReservationKept = Omit<ReservationState, 'items'> & { readonly items: readonly ReservedItem[] };

const NOTHING: Outcome = { reservation: null, event: null, moves: [] };

/**
 * Reserves all items of an order or none. Events of one order may come twice and crossed: a release without a
 * reservation leaves a tombstone, so that the late order finds it and reserves nothing.
 */
export function decideReservation(
  state: ReservationKept | null,
  products: ReadonlyMap<string, ProductState>,
  command: ReservationCommand,
): Outcome {
  const { orderId, at } = command;
  const to = (status: ReservationState['status'], reason: string | null = null): ReservationKept => ({
    orderId,
    version: (state?.version ?? 0) + 1,
    status,
    items: state?.items ?? [],
    reason,
    updatedAt: at,
  });

  switch (command.type) {
    case 'reserve': {
      if (state !== null) return NOTHING;
      const { items } = command;
      const enough = items.every(({ productId, quantity }) => {
        const product = products.get(productId);
        return product !== undefined && available(product) >= quantity;
      });
      if (!enough)
        return { reservation: { ...to('REJECTED', 'INSUFFICIENT_STOCK'), items }, event: 'stock.rejected', moves: [] };
      return {
        reservation: { ...to('RESERVED'), items },
        event: 'stock.reserved',
        moves: items.map(({ productId, quantity }) => ({ productId, stock: 0, reserved: quantity })),
      };
    }
    case 'release':
      if (state === null) return { reservation: { ...to('RELEASED'), version: 0 }, event: null, moves: [] };
      if (state.status !== 'RESERVED') return NOTHING;
      return {
        reservation: to('RELEASED'),
        event: 'stock.released',
        moves: state.items.map(({ productId, quantity }) => ({ productId, stock: 0, reserved: -quantity })),
      };
    case 'consume':
      if (state?.status !== 'RESERVED') return NOTHING;
      return {
        reservation: to('CONSUMED'),
        event: 'stock.consumed',
        moves: state.items.map(({ productId, quantity }) => ({ productId, stock: -quantity, reserved: -quantity })),
      };
    default:
      return assertNever(command);
  }
}
