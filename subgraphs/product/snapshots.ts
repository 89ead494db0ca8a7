import { RowSnapshots } from '../../shared/outbox/snapshots.js';
import { fromRow, type ProductRow } from './store.js';

export const productSnapshots = new RowSnapshots<ProductRow>('products', (row) => {
  const product = fromRow(row);
  return { type: 'product.snapshot', subject: product.id, sequence: product.version, data: { product } };
});
