import { describe, expect, test } from '@jest/globals';
import { specify } from '../../tests/given.js';
import { available, decide, evolve, type ProductCommand, type ProductEvent, type ProductState } from './product.js';

const given = specify<ProductState | null, ProductCommand, ProductEvent>({ initial: null, decide, evolve });

const phone = { id: 'p1', name: 'iPhone 15', description: 'A phone', price: 599_999, stock: 10 };
const created: ProductEvent = { type: 'product.created', ...phone, at: 1 };
const reserved = (pieces: number): ProductEvent => ({
  type: 'product.stock_changed',
  stock: 0,
  reserved: pieces,
  at: 2,
});
const deleted: ProductEvent = { type: 'product.deleted', at: 3 };

test('is created once, with nothing reserved', () => {
  given([])
    .when({ type: 'create', ...phone, at: 1 })
    .then([created]);
  given([])
    .when({ type: 'create', ...phone, at: 1 })
    .thenState({ version: 1, stock: 10, reserved: 0, deleted: false, createdAt: 1, updatedAt: 1 });
  given([created])
    .when({ type: 'create', ...phone, at: 2 })
    .thenRefused('CONFLICT', 'id');
});

describe('an update', () => {
  test('tells what changed, and nothing else', () => {
    given([created])
      .when({ type: 'update', price: 1, at: 5 })
      .then([{ type: 'product.updated', price: 1, at: 5 }]);
    given([created])
      .when({ type: 'update', name: 'iPhone 16', price: 599_999, stock: 11, at: 5 })
      .then([{ type: 'product.updated', name: 'iPhone 16', stock: 11, at: 5 }]);
    given([created])
      .when({ type: 'update', description: '', at: 5 })
      .thenState({ ...phone, description: '', version: 2, updatedAt: 5, createdAt: 1 });
  });

  test('to what is there is no change', () => {
    given([created])
      .when({ type: 'update', ...phone, at: 5 })
      .thenNothing();
    given([created]).when({ type: 'update', at: 5 }).thenNothing();
  });

  test('does not take away what orders have reserved', () => {
    given([created, reserved(4)])
      .when({ type: 'update', stock: 3, at: 5 })
      .thenRefused('CONFLICT', 'stock');
    given([created, reserved(4)])
      .when({ type: 'update', stock: 4, at: 5 })
      .thenState({ stock: 4, reserved: 4 });
  });

  test('needs a product', () => {
    given([]).when({ type: 'update', price: 1, at: 5 }).thenRefused('NOT_FOUND', 'id');
    given([created, deleted]).when({ type: 'update', price: 1, at: 5 }).thenRefused('NOT_FOUND', 'id');
  });
});

describe('a deletion', () => {
  test('keeps the product, no longer to be had', () => {
    given([created]).when({ type: 'delete', at: 3 }).then([deleted]);
    given([created]).when({ type: 'delete', at: 3 }).thenState({ deleted: true, version: 2, name: 'iPhone 15' });
    expect(available([created, deleted].reduce<ProductState | null>(evolve, null) as ProductState)).toBe(0);
  });

  test('waits until no order needs the product', () => {
    given([created, reserved(1)])
      .when({ type: 'delete', at: 3 })
      .thenRefused('CONFLICT', 'id');
    given([created, reserved(1), reserved(-1)])
      .when({ type: 'delete', at: 3 })
      .then([deleted]);
  });

  test('happens once', () => {
    given([]).when({ type: 'delete', at: 3 }).thenRefused('NOT_FOUND', 'id');
    given([created, deleted]).when({ type: 'delete', at: 4 }).thenRefused('NOT_FOUND', 'id');
  });
});

test('what orders move is a difference; none is no event', () => {
  given([created]).when({ type: 'moveStock', stock: -2, reserved: 3, at: 4 }).thenState({ stock: 8, reserved: 3 });
  given([created]).when({ type: 'moveStock', stock: 0, reserved: 0, at: 4 }).thenNothing();
  given([]).when({ type: 'moveStock', stock: 1, reserved: 0, at: 4 }).thenRefused('NOT_FOUND', 'id');
});
