import type { OrderView, Shop, UserView } from './shop.js';
import { uniqueEmail } from './system.js';

/** What bad input is tried on: all of it is in order, so that only the input can be at fault. */
export interface World {
  readonly ana: UserView;
  readonly eva: UserView;
  readonly product: string;
  /** 100.00 of Ana's, 50.00 of Eva's. */
  readonly anas: string;
  readonly evas: string;
  /** Ana's, of the product. */
  readonly awaiting: OrderView;
}

/** Two people with their accounts, a product and an order of it, which may still be at work when this answers. */
export async function createWorld(shop: Shop): Promise<World> {
  const [ana, eva] = [await shop.user(), await shop.user()];
  const { id: product } = await shop.product({ price: '10.00', stock: 100 });
  return {
    ana,
    eva,
    product,
    anas: await shop.account(ana.id, '100.00'),
    evas: await shop.account(eva.id, '50.00'),
    awaiting: await shop.orderIn('AWAITING_PAYMENT', ana.id, [product, 1]),
  };
}

export type Input = Readonly<Record<string, unknown>>;

/** The input of `createUser`, right where `name` and `email` are; an address of its own when absent. */
export const CREATE_USER = (name: unknown, email: unknown = uniqueEmail()): Input => ({ name, email });

/** The input of `createProduct`, right but for the change. */
export const CREATE_PRODUCT = (change: Input): Input => ({ name: 'Lamp', price: '1.00', stock: 1, ...change });
