/** What the demo has made goes again: orders are ended, money goes back to the purse, user and product are deleted. */
import { formatAmount, parseAmount } from '../../shared/money/money.js';
import { GraphError, type DemoClient } from './demo-client.js';
import { waitFor, type Fact, type Waiting, type Witness } from './demo-facts.js';
import type { Begun } from './demo-story.js';
import { amount } from './text.js';

/** Whether everything is as it was. Money in cents. */
export interface Sums {
  readonly money: {
    readonly lent: number;
    readonly returned: number;
    /** Spent on orders that were being prepared already, when it was time to cancel them. */
    readonly sold: number;
    readonly left: number;
  };
  readonly stock: { readonly before: number; readonly after: number; readonly reserved: number; readonly sold: number };
  readonly ok: boolean;
}

export interface CleanedUp {
  /** What was done, a line each. */
  readonly done: readonly string[];
  /** What could not be done, a line each, with ids. */
  readonly left: readonly string[];
  /** Null where there was neither wallet nor product, or they could not be read. */
  readonly sums: Sums | null;
}

export interface CleanUpDeps {
  readonly admin: DemoClient;
  readonly begun: Begun;
  readonly witness: Witness;
  readonly waiting: Waiting;
  readonly say: (...facts: readonly Fact[]) => void;
}

/** Gone again in a moment: a limit, a restart, or views and replicas that have not heard of the last change yet. */
const PASSING = new Set([
  ...['RATE_LIMITED', 'PROJECTION_PENDING', 'UNAVAILABLE', 'OFFLINE', 'REST'],
  ...['CONFLICT', 'INVALID_STATE', 'INSUFFICIENT_FUNDS', 'NOT_FOUND'],
]);

interface OrderNow {
  readonly id: string;
  readonly status: string;
  readonly total: string;
  readonly items: readonly { readonly quantity: number }[] | null;
  readonly payment: { readonly status: string } | null;
}

const ORDER = 'id status total items { quantity } payment { status }';
const WALLET =
  'account(id: $id) { balance transactions(first: 100) { nodes { kind amount fromAccountId toAccountId } } }';
const SUMS = `query Demo($id: ID!, $product: ID!) { ${WALLET} product(id: $product) { stock reserved } }`;

interface WalletNow {
  readonly balance: string;
  readonly transactions: {
    readonly nodes: readonly { kind: string; amount: string; fromAccountId: string; toAccountId: string }[];
  } | null;
}

/** Ends whatever was begun, as far as the system lets it, and tells what is left. Throws nothing. */
export async function cleanUp(deps: CleanUpDeps): Promise<CleanedUp> {
  const work = new CleanUp(deps);
  return work.run();
}

class CleanUp {
  private readonly done: string[] = [];
  private readonly left: string[] = [];
  private readonly ended: OrderNow[] = [];
  /** Keys of the transfers back. */
  private readonly returned = new Set<string>();
  /** Nobody answered for as long as one waits: nothing more is waited for. */
  private away = false;

  constructor(private readonly deps: CleanUpDeps) {}

  async run(): Promise<CleanedUp> {
    const { begun } = this.deps;
    await this.part('whatever answers were lost of', () => this.recall());
    for (const id of begun.orders) await this.part(`order ${id}`, () => this.endOrder(id));
    if (this.ended.length > 0) this.done.push(`${amount(this.ended.length, 'order')} ended`);
    await this.tell();
    if (begun.walletId !== null)
      await this.part(`wallet ${begun.walletId}, with money in it`, () => this.emptyWallet());
    const sums = await this.sums().catch(() => null);
    for (const { id } of this.ended) await this.part(`order ${id}, ended`, () => this.remove('deleteOrder', id));
    const { userId, productId } = begun;
    if (userId !== null) {
      const what = `user ${userId} (${begun.email})`;
      if (await this.part(what, () => this.removeUser(userId))) this.done.push('user deleted');
    }
    if (productId !== null) {
      const what = `product ${productId} (${begun.product.name})`;
      if (await this.part(what, () => this.remove('deleteProduct', productId))) this.done.push('product deleted');
    }
    return { done: this.done, left: this.left, sums };
  }

  /** Does something until it succeeds; what fails for good, or for too long, is left behind and told of. */
  private async part(what: string, work: () => Promise<void>): Promise<boolean> {
    let last: unknown = new Error('interrupted');
    const attempt = async (): Promise<boolean | undefined> => {
      try {
        await work();
        return true;
      } catch (error) {
        last = error;
        return error instanceof GraphError && PASSING.has(error.code) ? undefined : false;
      }
    };
    const succeeded = await waitFor(attempt, this.waiting()).catch(() => false);
    this.away ||= succeeded !== true && last instanceof GraphError && last.code === 'OFFLINE';
    if (succeeded !== true) this.left.push(`${what}: ${last instanceof Error ? last.message : String(last)}`);
    return succeeded === true;
  }

  private waiting(): Waiting {
    const { waiting } = this.deps;
    return this.away ? { ...waiting, patienceMs: 0 } : waiting;
  }

  /** Finds what was made by calls of which no answer came. */
  private async recall(): Promise<void> {
    const { admin, begun } = this.deps;
    if (begun.productAsked && begun.productId === null) {
      // The same key: made now or then, it is one.
      const make = admin.mutate<{ product: { id: string } }>('createProduct', 'product { id }', begun.product);
      begun.productId = (await make).product.id;
    }
    if (begun.userAsked && begun.userId === null) {
      const { users } = await admin.query<{ users: { nodes: readonly { id: string; email: string }[] } }>(
        'query Demo($email: String!) { users(filter: { search: $email }) { nodes { id email } } }',
        { email: begun.email },
      );
      begun.userId = users.nodes.find(({ email }) => email === begun.email)?.id ?? null;
    }
    if (begun.userId === null) return;
    const { orders, user } = await admin.query<{
      orders: { nodes: readonly { id: string }[] };
      user: { accounts: readonly { id: string }[] | null };
    }>('query Demo($id: ID!) { orders(filter: { userId: $id }) { nodes { id } } user(id: $id) { accounts { id } } }', {
      id: begun.userId,
    });
    for (const { id } of orders.nodes) if (!begun.orders.includes(id)) begun.orders.push(id);
    begun.walletId ??= user.accounts?.[0]?.id ?? null;
  }

  private async endOrder(id: string): Promise<void> {
    const { admin, begun } = this.deps;
    const key = { id, idempotencyKey: `${begun.product.idempotencyKey}:${id}` };
    const { order } = await admin.query<{ order: OrderNow | null }>(
      `query Demo($id: ID!) { order(id: $id) { ${ORDER} } }`,
      {
        id,
      },
    );
    if (order === null) throw new GraphError(`There is no order ${id}.`, 'PROJECTION_PENDING', 'order');
    switch (order.status) {
      case 'PROCESSING':
        await admin.mutate('updateOrderStatus', 'order { id }', { ...key, status: 'COMPLETED' });
        break;
      case 'CANCELED':
      case 'COMPLETED':
        // What was taken for it comes back first.
        if (order.status === 'COMPLETED' || order.payment?.status !== 'COMPLETED') {
          this.ended.push(order);
          return;
        }
        break;
      default:
        await admin.mutate('cancelOrder', 'order { id }', { ...key, reason: 'The demo is over' });
    }
    throw new GraphError('It is not at its end yet.', 'PROJECTION_PENDING', 'order');
  }

  /** Shows what ending the orders has led to. */
  private async tell(): Promise<void> {
    const { begun, witness, say } = this.deps;
    const ids = [begun.productId, begun.walletId, ...begun.orders].filter((id) => id !== null);
    say(...(await witness.events(ids, [], this.waiting()).catch(() => [])));
  }

  private async emptyWallet(): Promise<void> {
    const { admin, begun } = this.deps;
    const { account } = await admin.query<{ account: WalletNow }>(`query Demo($id: ID!) { ${WALLET} }`, {
      id: begun.walletId,
    });
    const cents = parseAmount(account.balance, 'balance');
    if (cents === 0) return;
    if (begun.purse === null) throw new Error('There is no purse to give the money back to.');
    // Another sum later would be another transfer.
    const idempotencyKey = `demo:${begun.walletId}:back:${account.transactions?.nodes.length ?? 0}`;
    await admin.mutate('transfer', 'transaction { id }', {
      fromAccountId: begun.walletId,
      toAccountId: begun.purse.accountId,
      amount: account.balance,
      idempotencyKey,
    });
    if (!this.returned.has(idempotencyKey)) this.done.push(`${account.balance} back in the purse`);
    this.returned.add(idempotencyKey);
    throw new GraphError('The view does not show it yet.', 'PROJECTION_PENDING', 'account');
  }

  /** A refund may have come after the wallet was emptied. */
  private async removeUser(id: string): Promise<void> {
    if (this.deps.begun.walletId !== null) await this.emptyWallet();
    await this.remove('deleteUser', id);
  }

  private async remove(mutation: string, id: string): Promise<void> {
    try {
      await this.deps.admin.mutate(mutation, 'id', { id });
    } catch (error) {
      // Gone already: of the call before, the answer was lost.
      if (!(error instanceof GraphError) || error.code !== 'NOT_FOUND') throw error;
    }
  }

  /** Waits until what is read has caught up with what was done, and answers the sums as they are. */
  private async sums(): Promise<Sums | null> {
    const { begun } = this.deps;
    if (begun.walletId === null || begun.productId === null) return null;
    let sums: Sums | null = null;
    await waitFor(async () => {
      sums = await this.sumsNow();
      const { money, stock } = sums;
      const isSettled = money.left === 0 && money.lent === money.returned + money.sold && stock.reserved === 0;
      return isSettled ? true : undefined;
    }, this.waiting());
    return sums;
  }

  private async sumsNow(): Promise<Sums> {
    const { admin, begun } = this.deps;
    const { account, product } = await admin.query<{
      account: WalletNow;
      product: { stock: number; reserved: number };
    }>(SUMS, { id: begun.walletId, product: begun.productId });
    const moved = (kind: string, side: 'fromAccountId' | 'toAccountId'): number =>
      (account.transactions?.nodes ?? [])
        .filter((one) => one.kind === kind && one[side] === begun.walletId)
        .reduce((sum, one) => sum + parseAmount(one.amount, 'amount'), 0);
    const fulfilled = this.ended.filter(({ status }) => status === 'COMPLETED');
    const pieces = fulfilled.flatMap(({ items }) => items ?? []).reduce((sum, { quantity }) => sum + quantity, 0);
    const money = {
      lent: moved('TRANSFER', 'toAccountId'),
      returned: moved('TRANSFER', 'fromAccountId'),
      sold: moved('PAYMENT', 'fromAccountId') - moved('REFUND', 'toAccountId'),
      left: parseAmount(account.balance, 'balance'),
    };
    const stock = { before: begun.product.stock, after: product.stock, reserved: product.reserved, sold: pieces };
    const owed = fulfilled.reduce((sum, { total }) => sum + parseAmount(total, 'total'), 0);
    return {
      money,
      stock,
      ok:
        money.left === 0 &&
        money.sold === owed &&
        money.lent === money.returned + money.sold &&
        money.lent === begun.lent &&
        stock.reserved === 0 &&
        stock.after === stock.before - stock.sold,
    };
  }
}

/** The sums in a line each, for people. */
export function sumLines({ money, stock }: Sums): string[] {
  const sold = (what: string): string => ` (${what} sold: prepared before it could be canceled)`;
  return [
    `wallet  ${formatAmount(money.lent)} lent, ${formatAmount(money.returned)} given back, ${formatAmount(money.left)} left` +
      (money.sold === 0 ? '' : sold(formatAmount(money.sold))),
    `stock   ${stock.before} pieces before, ${stock.after} after, ${stock.reserved} reserved` +
      (stock.sold === 0 ? '' : sold(String(stock.sold))),
  ];
}
