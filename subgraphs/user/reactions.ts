import { reaction, type Reaction } from '../../shared/reactions/reaction.js';
import type { UserStore } from './store.js';

/** Permanent names of consumer groups: new ones would read everything again. */
const ORDERS = 'user.orders';
const ACCOUNTS = 'user.accounts';

/** Only who wants to delete a user asks for these. */
const PACE_MS = 200;

/** Orders that are not finished keep their user from being deleted. */
export const openOrders = (store: UserStore): Reaction =>
  reaction({
    consumer: ORDERS,
    topics: ['orders'],
    paceMs: PACE_MS,
    types: ['order.created', 'order.completed', 'order.canceled'],
    handle: (tx, events) =>
      store.saveObligations(
        tx,
        'order',
        events.map(({ subject, sequence, data: { order } }) => ({
          kind: 'order',
          subject,
          userId: order.userId,
          version: sequence,
          open: order.status !== 'COMPLETED' && order.status !== 'CANCELED',
        })),
      ),
  });

/** So do accounts that hold money. */
export const accountsWithMoney = (store: UserStore): Reaction =>
  reaction({
    consumer: ACCOUNTS,
    topics: ['accounts'],
    paceMs: PACE_MS,
    types: ['account.created', 'account.balance_changed'],
    handle: (tx, events) =>
      store.saveObligations(
        tx,
        'account',
        events.flatMap(({ subject, sequence, data: { account } }) =>
          account.userId === null
            ? []
            : [{ kind: 'account', subject, userId: account.userId, version: sequence, open: account.balance !== 0 }],
        ),
      ),
  });
