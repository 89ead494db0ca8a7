import { RowSnapshots } from '../../shared/outbox/snapshots.js';
import { fromRow, type UserRow } from './store.js';

export const userSnapshots = new RowSnapshots<UserRow>('users', (row) => {
  const user = fromRow(row);
  return { type: 'user.snapshot', subject: user.id, sequence: user.version, data: { user } };
});
