/** The story that `tributary demo` plays: what each step does, and what has to come of it. */
import { randomBytes, randomUUID } from 'node:crypto';
import { formatAmount, parseAmount } from '../../shared/money/money.js';
import { GraphError, type DemoClient, type Mail, type Pushes } from './demo-client.js';
import {
  mailFact,
  missing,
  pushFact,
  waitFor,
  type EventFact,
  type Fact,
  type Waiting,
  type Witness,
} from './demo-facts.js';
import { lend, type Purse } from './demo-purse.js';

/** Something did not come out as it has to. The message says what, in a line. */
export class StoryFailed extends Error {
  override readonly name = 'StoryFailed';
}

/** What the demo has made so far, for whoever cleans up: written before a call where its answer may get lost. */
export interface Begun {
  readonly email: string;
  readonly product: {
    readonly name: string;
    readonly price: string;
    readonly stock: number;
    readonly idempotencyKey: string;
  };
  /** The product was asked for. */
  productAsked: boolean;
  productId: string | null;
  /** The user was asked for. */
  userAsked: boolean;
  userId: string | null;
  walletId: string | null;
  purse: Purse | null;
  /** Cents that the purse has lent. */
  lent: number;
  readonly orders: string[];
}

/** Nothing yet, under names that nobody else uses. */
export function nothingBegun(): Begun {
  const run = randomBytes(5).toString('hex');
  return {
    email: `ines.${run}@tributary.example`,
    product: { name: `Demo Coffee ${run}`, price: '45.00', stock: 10, idempotencyKey: `demo:${run}:product` },
    productAsked: false,
    productId: null,
    userAsked: false,
    userId: null,
    walletId: null,
    purse: null,
    lent: 0,
    orders: [],
  };
}

/** Cents. */
const LOAN = 20_000;

/** Does the work of a step; what it tells with `say` is shown as it comes, its answer is the step's result in a line. */
export type Step = (
  key: string,
  title: string,
  work: (say: (...facts: readonly Fact[]) => void) => Promise<string | Skipped>,
) => Promise<void>;

/** A step that could not be shown on this system, which is not a failure. */
export interface Skipped {
  readonly skipped: string;
}

export interface StoryDeps {
  readonly admin: DemoClient;
  readonly begun: Begun;
  readonly locale: 'EN' | 'PT';
  /** How long a reminder is waited for. */
  readonly reminderWaitMs: number;
  readonly waiting: Waiting;
  readonly witness: Witness;
  readonly step: Step;
  /** Called with what is to be closed when the story is over, one way or the other. */
  readonly opened: (pushes: Pushes) => unknown;
}

const RESERVED = ['order.created', 'stock.reserved', 'product.stock_changed', 'order.awaiting_payment'];
const PAID = ['order.payment_requested', 'account.balance_changed', 'payment.completed', 'order.paid'];
const REFUNDED = [
  ...['order.canceled', 'stock.released', 'product.stock_changed'],
  ...['payment.refunded', 'account.balance_changed', 'order.payment_refunded'],
];

/**
 * From the product to the refund. What it makes stands in `begun` and is left for the clean-up.
 * @throws StoryFailed, GraphError, AbortError
 */
export async function tellStory(deps: StoryDeps): Promise<void> {
  const { admin, begun, step } = deps;
  const it = new Telling(deps);

  await step('product', 'A product', async (say) => {
    begun.productAsked = true;
    const { product } = await admin.mutate<Made<'product'>>('createProduct', 'product { id }', begun.product);
    begun.productId = product.id;
    say(...(await it.events(['product.created'])));
    return `${begun.product.name}: ${begun.product.stock} pieces at ${begun.product.price}`;
  });

  await step('register', 'A customer registers', (say) => it.register(say));
  await step('verify', 'The customer confirms the address', (say) => it.verify(say));

  await step('wallet', 'A wallet with money', async (say) => {
    const { account } = await it.buyer.mutate<Made<'account'>>('createAccount', 'account { id }', it.keyed());
    begun.walletId = account.id;
    await lend(admin, begun, LOAN);
    say(...(await it.events(['account.created', 'account.balance_changed'])));
    say(await it.balance(LOAN));
    return `${formatAmount(LOAN)}, lent by the purse of the demo`;
  });

  await step('order', 'An order, watched over WebSocket', async (say) => {
    const { id, total } = await it.order(2);
    say(...(await it.follow(id, RESERVED, 'AWAITING_PAYMENT', 'ORDER_CONFIRMATION')));
    return `2 pieces for ${formatAmount(total)} are reserved and wait to be paid`;
  });

  await step('reminder', 'A reminder, as nobody pays', (say) => it.reminder(say));

  await step('pay', 'The wallet pays', async (say) => {
    const { id, total } = it.latest();
    await it.pay(id);
    say(...(await it.follow(id, PAID, 'PAID', 'PAYMENT_RECEIPT')));
    say(await it.balance(LOAN - total));
    return `paid; ${formatAmount(LOAN - total)} left`;
  });

  await step('second-order', 'Another order, paid', async (say) => {
    const before = it.spent();
    const { id, total } = await it.order(1);
    say(...(await it.follow(id, RESERVED, 'AWAITING_PAYMENT', 'ORDER_CONFIRMATION')));
    await it.pay(id);
    say(...(await it.follow(id, PAID, 'PAID', 'PAYMENT_RECEIPT')));
    return `paid; ${formatAmount(LOAN - before - total)} left`;
  });

  await step('cancel', 'Canceled: money and stock come back', async (say) => {
    const { id, total } = it.latest();
    await it.buyer.mutate('cancelOrder', 'order { id }', { id, reason: 'Changed my mind', ...it.keyed() });
    say(...(await it.follow(id, REFUNDED, 'CANCELED', 'CANCELLATION')));
    say(await it.balance(LOAN - it.spent() + total));
    return `${formatAmount(total)} and 1 piece are back`;
  });
}

type Made<Thing extends string> = { readonly [T in Thing]: { readonly id: string } };

type Say = (...facts: readonly Fact[]) => void;

interface Order {
  readonly id: string;
  /** Cents. */
  readonly total: number;
}

/** What the steps have in common, and what they know from one another. */
class Telling {
  /** Who orders and pays: the customer. */
  buyer: DemoClient;
  private readonly orders: Order[] = [];
  private pushes: Pushes | undefined;
  private confirmed = false;
  private hasInbox = true;

  constructor(private readonly deps: StoryDeps) {
    this.buyer = deps.admin;
  }

  keyed = (): { readonly idempotencyKey: string } => ({ idempotencyKey: `demo:${randomUUID()}` });

  async register(say: Say): Promise<string> {
    const { admin, begun, locale } = this.deps;
    begun.userAsked = true;
    const input = { name: 'Inês Prado', email: begun.email, password: randomUUID(), locale };
    const { accessToken, user } = await admin.mutate<{ accessToken: string } & Made<'user'>>(
      'register',
      'accessToken user { id }',
      input,
    );
    begun.userId = user.id;
    this.buyer = admin.as(accessToken);
    const events = await this.events(['user.created', 'user.verification_requested']);
    say(...events);
    const mail = await this.mail('VERIFICATION', null);
    this.hasInbox = mail !== null;
    if (mail !== null) say(mailFact(mail, events.at(-1)));
    return `${input.name}, ${begun.email}`;
  }

  async verify(say: Say): Promise<string | Skipped> {
    const { begun } = this.deps;
    if (!this.hasInbox) {
      return { skipped: 'no inbox outside demo mode: the administrator orders for the customer' };
    }
    const mail = await this.mail('VERIFICATION', null);
    const [, token] = /\/verify\?token=([^\s"<>]+)/.exec(mail?.text ?? '') ?? [];
    if (token === undefined) throw new StoryFailed('The mail has no link to confirm the address with.');
    const { user } = await this.deps.admin.mutate<{ user: { id: string; verified: boolean } }>(
      'verifyEmail',
      'user { id verified }',
      { token: decodeURIComponent(token) },
    );
    if (user.id !== begun.userId || !user.verified) throw new StoryFailed('The address was not confirmed.');
    this.confirmed = true;
    say(...(await this.events(['user.updated'])));
    return 'confirmed with the link in the mail; it works once';
  }

  /** Places an order for so many pieces; the messages about it are listened for first. */
  async order(quantity: number): Promise<Order> {
    const { admin, begun, waiting } = this.deps;
    const { userId, productId, product } = begun;
    if (this.pushes === undefined) {
      this.pushes = await this.buyer.watch(userId ?? '');
      this.deps.opened(this.pushes);
    }
    const input = { items: [{ productId, quantity, expectedUnitPrice: product.price }], ...this.keyed() };
    const place = () =>
      (this.confirmed ? this.buyer : admin).mutate<{ order: { id: string; total: string } }>(
        'createOrder',
        'order { id total }',
        this.confirmed ? input : { ...input, userId },
      );
    // The order service hears of a confirmed address a moment later than the caller.
    const placed = await waitFor(async () => {
      try {
        return await place();
      } catch (error) {
        if (error instanceof GraphError && error.code === 'FORBIDDEN') return undefined;
        throw error;
      }
    }, waiting);
    const { id, total } = (placed ?? (await place())).order;
    begun.orders.push(id);
    const order = { id, total: parseAmount(total, 'total') };
    this.orders.push(order);
    return order;
  }

  async pay(id: string): Promise<void> {
    const input = { id, method: 'WALLET', accountId: this.deps.begun.walletId, ...this.keyed() };
    await this.buyer.mutate('payOrder', 'order { id }', input);
  }

  /** A reminder is not waited for longer than it was asked for: most systems send the first after hours. */
  async reminder(say: Say): Promise<string | Skipped> {
    const { reminderWaitMs, waiting, witness } = this.deps;
    const { id } = this.latest();
    const type = 'order.payment_reminder';
    // It may have come while something else was looked at.
    if (witness.newest(id, type) === undefined) {
      say(...(await witness.events([id], [type], { ...waiting, patienceMs: reminderWaitMs })));
    }
    const event = witness.newest(id, type);
    if (event === undefined) {
      if (reminderWaitMs === 0) return { skipped: 'not waited for' };
      return { skipped: `none within ${reminderWaitMs / 1_000} s; one comes with ORDER_REMINDERS=2s npm start` };
    }
    const mail = await this.mail('REMINDER', id);
    if (mail !== null) say(mailFact(mail, event));
    return 'the customer was reminded';
  }

  latest(): Order {
    const order = this.orders.at(-1);
    if (order === undefined) throw new StoryFailed('There is no order.');
    return order;
  }

  /** Cents of all orders so far. */
  spent = (): number => this.orders.reduce((sum, { total }) => sum + total, 0);

  /** The new events of all that the demo has made, which must have these types among them. */
  async events(types: readonly string[]): Promise<EventFact[]> {
    const { begun, waiting, witness } = this.deps;
    const ids = [begun.productId, begun.userId, begun.walletId, ...begun.orders].filter((id) => id !== null);
    const events = await witness.events(ids, types, waiting);
    const [never] = missing(types, events);
    if (never !== undefined) {
      const last = events.at(-1)?.type ?? 'no event';
      throw new StoryFailed(`${never} was to come; what came last is ${last}.`);
    }
    return events;
  }

  /** What follows a call about an order: events, each with the message that told of it, and at the end the mail. */
  async follow(id: string, types: readonly string[], status: string, mailKind: string): Promise<Fact[]> {
    const { waiting } = this.deps;
    const events = await this.events(types);
    const ofOrder = events.filter(({ topic, aggregateId }) => topic === 'orders' && aggregateId === id);
    const oldest = Math.min(...ofOrder.map(({ version }) => version));
    const heard = () => this.pushes?.all.filter((one) => one.orderId === id && one.version >= oldest) ?? [];
    const came = await waitFor(async () => {
      if (this.pushes?.ended !== undefined)
        throw new StoryFailed(`The subscription ended: ${this.pushes.ended.message}.`);
      return heard().some((one) => one.status === status) ? true : undefined;
    }, waiting);
    if (came === undefined) throw new StoryFailed(`No message over WebSocket told of ${status}.`);
    const pushes = heard();
    const facts = events.flatMap((event): Fact[] => {
      const push = ofOrder.includes(event) ? pushes.find(({ version }) => version === event.version) : undefined;
      return push === undefined ? [event] : [event, pushFact(push)];
    });
    const mail = await this.mail(mailKind, id);
    const cause = MAILS[mailKind];
    return mail === null
      ? facts
      : [
          ...facts,
          mailFact(
            mail,
            events.find(({ type }) => type === cause),
          ),
        ];
  }

  /** The newest mail of a kind about an order; null where there is no inbox. */
  async mail(kind: string, orderId: string | null): Promise<Mail | null> {
    if (!this.hasInbox) return null;
    const { begun, waiting } = this.deps;
    const found = await waitFor(async () => {
      const mails = await this.deps.admin.inbox(begun.email);
      if (mails === null) return { mail: null };
      const mail = mails.find((one) => one.kind === kind && one.orderId === orderId);
      return mail === undefined ? undefined : { mail };
    }, waiting);
    if (found === undefined)
      throw new StoryFailed(`No mail of kind ${kind} came within ${waiting.patienceMs / 1_000} s.`);
    return found.mail;
  }

  /** Reads the wallet over REST until it says what it has to, in cents. */
  async balance(expected: number): Promise<Fact> {
    const { admin, begun, waiting } = this.deps;
    const begin = performance.now();
    let last: number | null = null;
    const fact = await waitFor(async (): Promise<Fact | undefined> => {
      last = await admin.balance(begun.walletId ?? '');
      if (last === null || Math.round(last * 100) !== expected) return undefined;
      return {
        kind: 'rest',
        path: '/balances/{wallet}',
        body: formatAmount(expected),
        ms: Math.round(performance.now() - begin),
      };
    }, waiting);
    if (fact !== undefined) return fact;
    throw new StoryFailed(
      `REST says that ${last ?? 'nothing'} is in the wallet; it has to be ${formatAmount(expected)}.`,
    );
  }
}

/** The events that mails are about. */
const MAILS: Readonly<Record<string, string>> = {
  ORDER_CONFIRMATION: 'order.awaiting_payment',
  PAYMENT_RECEIPT: 'order.paid',
  CANCELLATION: 'order.canceled',
};
