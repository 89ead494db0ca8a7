import { RowSnapshots } from '../../shared/outbox/snapshots.js';
import { fromRow, type OrderRow } from './store.js';

export const orderSnapshots = new RowSnapshots<OrderRow>('orders', (row) => {
  const order = fromRow(row);
  return { type: 'order.snapshot', subject: order.id, sequence: order.version, data: { order } };
});
