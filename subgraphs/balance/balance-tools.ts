import type { AnyEvent } from '../../shared/events/event.js';
import type { OrderState, PaymentMethod } from '../../shared/events/states.js';
import { newId } from '../../shared/ids/ids.js';
import { startSubgraph, type TestSubgraph } from '../../tests/subgraph.js';
import { buildBalance, type BalanceSubgraph } from './app.js';
import { createSandboxProvider, type PaymentProvider } from './provider.js';

/** For tests: the balance subgraph alone with two users, its accounts, and the orders that are to be paid. */

export const CREATE =
  'mutation ($input: CreateAccountInput!) { createAccount(input: $input) { account { id version userId balance } } }';
export const DEPOSIT =
  'mutation ($input: DepositInput!) { deposit(input: $input) { transaction { id kind fromAccountId toAccountId amount } } }';

/** Two users of whom balance hears at the start. */
export const EVA = newId();
export const FRANK = newId();

/** There once `startBalance` has resolved; everything below looks into it. */
export let balance: TestSubgraph<BalanceSubgraph>;

let decidedUntil = -Infinity;

/** Has the provider decide now whatever it decides late and was asked for until now. */
export function decide(): void {
  decidedUntil = Date.now();
}

/** The sandbox, which takes until `decide` for what it decides late. */
function patientProvider(now: () => number): PaymentProvider {
  const sandbox = createSandboxProvider({ now });
  return {
    ...sandbox,
    async charge(request) {
      const isDue = request.requestedAt <= decidedUntil;
      const result = await sandbox.charge({ ...request, requestedAt: isDue ? -Infinity : Infinity });
      return result.outcome === 'PENDING' ? { ...result, askAgainInMs: 20 } : result;
    },
  };
}

/** Starts the subgraph for one file, which disposes of it. */
export async function startBalance(): Promise<void> {
  balance = await startSubgraph('balance', (deps) => buildBalance({ ...deps, provider: patientProvider(deps.now) }));
  await balance.publish(...[EVA, FRANK].map((id) => userCreated(id)));
}

/** A user whom the user subgraph has just made. */
export const userCreated = (id: string) => {
  const at = Date.now();
  const user = {
    id,
    version: 1,
    name: 'E',
    email: 'e@x.org',
    role: 'USER',
    locale: 'EN',
    verified: false,
    deleted: false,
    createdAt: at,
    updatedAt: at,
  } as const;
  return { type: 'user.created', subject: id, sequence: 1, data: { user } } as const;
};

/** Opens an account, and deposits the amount if there is one. */
export async function newAccount(userId = EVA, amount?: string): Promise<string> {
  type Created = { createAccount: { account: { id: string } } };
  const { createAccount } = await balance.ok<Created>(CREATE, { input: { userId } });
  const { id } = createAccount.account;
  if (amount !== undefined) await balance.ok(DEPOSIT, { input: { accountId: id, amount } });
  return id;
}

/** What an order says when it is to be paid, or is canceled. */
function orderEvent(
  type: 'order.payment_requested' | 'order.canceled',
  {
    id,
    total,
    userId = EVA,
    method = 'CREDIT_CARD',
    accountId = null,
    paymentId = newId(),
    version = 3,
  }: {
    readonly id: string;
    readonly total: number;
    readonly userId?: string;
    readonly method?: PaymentMethod;
    readonly accountId?: string | null;
    readonly paymentId?: string;
    readonly version?: number;
  },
) {
  const status = type === 'order.canceled' ? 'CANCELED' : 'AWAITING_PAYMENT';
  const order: OrderState = {
    id,
    version,
    userId,
    status,
    items: [{ productId: newId(), name: 'Thing', quantity: 1, unitPrice: total }],
    total,
    payment: { paymentId, method, accountId, status: 'REQUESTED', reference: null },
    cancelReason: null,
    history: [{ version, status, at: 1, reason: null }],
    deleted: false,
    createdAt: 1,
    updatedAt: 1,
  };
  return { id: newId(), type, subject: id, sequence: version, data: { order } };
}

/** An order asks for its payment. */
export const request = (order: Parameters<typeof orderEvent>[1]) => orderEvent('order.payment_requested', order);
/** An order is canceled, a version after it asked. */
export const cancel = (id: string, total = 1) => orderEvent('order.canceled', { id, total, version: 4 });

/** Everything in the log about an account or an order, in the order in which it came. */
export const eventsOf = (subject: string): AnyEvent[] => balance.heard.filter((event) => event.subject === subject);
/** What became of an order's payments. */
export const typesOf = (orderId: string): string[] =>
  eventsOf(orderId)
    .map(({ type }) => type)
    .filter((type) => type.startsWith('payment.'));

/** Cents; undefined where there is no such account. */
export async function balanceOf(id: string): Promise<number | undefined> {
  const [row] = await balance.database.read<{ balance: number }>('SELECT balance FROM accounts WHERE id = ?', [id]);
  return row?.balance;
}

/** Of all accounts, in cents. */
export async function sumOfBalances(): Promise<number> {
  const [row] = await balance.database.read<{ sum: number }>('SELECT SUM(balance) AS sum FROM accounts');
  return row?.sum ?? NaN;
}
