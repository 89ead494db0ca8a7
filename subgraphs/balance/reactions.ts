import { SALES_ID } from './account.js';
import { reaction, type EventOf, type Reaction } from '../../shared/reactions/reaction.js';
import type { WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { Collector } from './collector.js';
import type { PaymentBook, PaymentCommand } from './payments.js';
import type { ProviderCalls } from './provider-calls.js';
import type { BalanceStore } from './store.js';

type OrderEvent = EventOf<'order.payment_requested' | 'order.canceled'>;

/** Permanent names of consumer groups: new ones would collect all payments of the past again, and read all users. */
const PAYMENTS = 'balance.payments';
const USERS = 'balance.users';

/** Most of what orders publish is not for payments, which take longer than this. */
const PACE_MS = 50;

/** Collects what orders ask for, and gives back what canceled ones have paid. */
export function payments({
  store,
  calls,
  now,
  walletCore,
}: {
  readonly store: BalanceStore;
  readonly calls: ProviderCalls;
  readonly now: () => number;
  readonly walletCore: WalletCoreMode;
}): Reaction {
  return reaction({
    consumer: PAYMENTS,
    topics: ['orders'],
    paceMs: PACE_MS,
    types: ['order.payment_requested', 'order.canceled'],
    async handle(tx, events) {
      const at = now();
      const books = await store.lockBooks(
        tx,
        events.map((event) => event.subject),
      );
      const wallets = [...new Set(walletsNeeded(events, books))];
      const accounts = await store.lockAccounts(tx, wallets.length === 0 ? [] : [...wallets, SALES_ID]);
      const collector = new Collector(books, accounts, walletCore);
      for (const event of events) {
        const { userId } = event.data.order;
        collector.handle(event.subject, commandFor(event, at), { userId, traceparent: event.traceparent });
      }
      collector.write(tx, { store, calls });
    },
  });
}

/** The accounts that may pay or be paid back. */
function* walletsNeeded(events: readonly OrderEvent[], books: ReadonlyMap<string, PaymentBook>): Iterable<string> {
  for (const { subject, type, data } of events) {
    const attempts = type === 'order.canceled' ? (books.get(subject)?.attempts ?? []) : [data.order.payment];
    for (const attempt of attempts) {
      if (attempt?.method === 'WALLET' && attempt.accountId !== null) yield attempt.accountId;
    }
  }
}

function commandFor({ type, subject: orderId, data: { order } }: OrderEvent, at: number): PaymentCommand {
  if (type === 'order.canceled') return { type: 'cancel', orderId, at };
  if (order.payment === null) throw new Error(`order ${orderId} asks for a payment that it does not name`);
  const { paymentId, method, accountId } = order.payment;
  return { type: 'request', orderId, attempt: { paymentId, method, accountId, amount: order.total }, at };
}

/** Keeps track of which users there are: accounts are theirs. */
export const users = (store: BalanceStore): Reaction =>
  reaction({
    consumer: USERS,
    topics: ['users'],
    types: ['user.created', 'user.deleted'],
    handle: (tx, events) =>
      store.saveUsers(
        tx,
        events.map(({ data }) => data.user),
      ),
  });
