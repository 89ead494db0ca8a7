import type { AnyNewEvent } from '../shared/events/event.js';
import { AppError } from '../shared/errors/errors.js';
import { fold } from '../shared/events/fold.js';
import type { AccountState, OrderItem, OrderState, ProductState } from '../shared/events/states.js';
import { SALES_ID, SYSTEM_ACCOUNTS, TREASURY_ID } from '../subgraphs/balance/account.js';
import { move, open, type TransactionKind } from '../subgraphs/balance/ledger.js';
import {
  apply,
  attemptOf,
  type Attempt,
  type PaymentBook,
  type PaymentCommand,
} from '../subgraphs/balance/payments.js';
import * as order from '../subgraphs/order/order.js';
import * as product from '../subgraphs/product/product.js';
import { decideReservation, type ReservationCommand, type ReservationKept } from '../subgraphs/product/reservation.js';

type Topic = 'orders' | 'stock' | 'payments';

/** Who reads which topic. */
const CONSUMERS = [
  { name: 'product.reservations', topic: 'orders' },
  { name: 'balance.payments', topic: 'orders' },
  { name: 'order.stock', topic: 'stock' },
  { name: 'order.payments', topic: 'payments' },
] as const;

type Consumer = (typeof CONSUMERS)[number];
type OrderEventData = { readonly order: OrderState };

/** What the provider was asked to do, and did not yet confirm. */
interface Call {
  readonly kind: 'CHARGE' | 'REFUND';
  readonly orderId: string;
  readonly paymentId: string;
  readonly amount: number;
  asked: boolean;
}

/** What the provider itself knows of a payment; it answers the same however often it is asked. */
interface Charge {
  readonly orderId: string;
  readonly amount: number;
  readonly approved: boolean;
  refunded: boolean;
}

export type Method = 'CREDIT_CARD' | 'WALLET';

/**
 * Orders, stock and money by their real rules, and between them a log that delivers worse than the real one does: as late
 * as a test wants, any message again at any time, and now and then one before its turn. There is no inbox here: the rules
 * alone have to stand the repeats.
 */
export class Saga {
  readonly orders = new Map<string, OrderState>();
  readonly products = new Map<string, ProductState>();
  readonly reservations = new Map<string, ReservationKept>();
  readonly books = new Map<string, PaymentBook>();
  readonly accounts = new Map<string, AccountState>();
  readonly charges = new Map<string, Charge>();
  private readonly log = new Map<string, AnyNewEvent[]>();
  private readonly read = new Map<string, number>();
  private readonly ahead = Object.fromEntries(CONSUMERS.map(({ name }) => [name, new Set<AnyNewEvent>()])) as Record<
    Consumer['name'],
    Set<AnyNewEvent>
  >;
  private calls: Call[] = [];
  private clock = 0;
  private ids = 0;

  constructor(products: readonly { readonly id: string; readonly price: number; readonly stock: number }[]) {
    for (const one of products) {
      const [created] = product.decide(null, { type: 'create', name: one.id, description: '', ...one, at: this.now() });
      if (created !== undefined) this.products.set(one.id, product.evolve(null, created));
    }
    for (const { id, kind } of SYSTEM_ACCOUNTS) this.openAccount(id, kind);
  }

  openAccount(id: string, kind: AccountState['kind'] = 'USER'): void {
    this.accounts.set(id, open({ id, userId: kind === 'USER' ? id : null, kind }, this.now()).account);
  }

  deposit(accountId: string, amount: number): void {
    this.moveMoney(TREASURY_ID, accountId, 'DEPOSIT', amount);
  }

  /** Answers whether there was enough. */
  transfer(from: string, to: string, amount: number): boolean {
    return allowed(() => this.moveMoney(from, to, 'TRANSFER', amount));
  }

  /** Answers by how much the stock on hand changed. */
  restock(id: string, stock: number): number {
    const before = this.productNow(id);
    allowed(() => this.changeProduct(id, product.decide(before, { type: 'update', stock, at: this.now() })));
    return this.productNow(id).stock - before.stock;
  }

  create(items: readonly { readonly productId: string; readonly quantity: number }[]): void {
    const id = this.newId('order');
    const priced: OrderItem[] = items.map((item) => ({
      ...item,
      name: item.productId,
      unitPrice: this.productNow(item.productId).price,
    }));
    this.decideOrder(id, { type: 'create', id, userId: 'customer', items: priced, at: this.now() });
  }

  /** Answers whether the order could be paid as it was. */
  pay(orderId: string, method: Method, accountId: string): boolean {
    const attempt = { paymentId: this.newId('payment'), method, accountId: method === 'WALLET' ? accountId : null };
    return allowed(() => this.decideOrder(orderId, { type: 'pay', attempt, at: this.now() }));
  }

  /** Answers whether that was possible for the order as it was. */
  request(orderId: string, type: 'cancel' | 'startProcessing' | 'complete' | 'delete'): boolean {
    const at = this.now();
    const command = type === 'cancel' ? { type, reason: 'canceled', at } : { type, at };
    return allowed(() => this.decideOrder(orderId, command));
  }

  /** The clock: the order is reminded of, or its time to be paid is over. */
  tick(orderId: string, type: 'remind' | 'expire'): void {
    const at = this.now();
    this.decideOrder(
      orderId,
      type === 'expire' ? { type, at } : { type, reminder: { number: 1, expiresAt: null }, at },
    );
  }

  /** The next message of an order for a consumer; false where there is none. */
  deliver(consumer: number, orderId: string): boolean {
    const to = consumerAt(consumer);
    const position = this.position(to, orderId);
    const message = this.messages(to.topic, orderId)[position];
    if (message === undefined) return false;
    this.read.set(`${to.name} ${orderId}`, position + 1);
    if (!this.ahead[to.name].has(message)) this.handle(to, message);
    return true;
  }

  /** The message behind the next one, before its turn; in its turn it does not come again. */
  deliverAhead(consumer: number, orderId: string): void {
    const to = consumerAt(consumer);
    const message = this.messages(to.topic, orderId)[this.position(to, orderId) + 1];
    const had = this.ahead[to.name];
    if (message === undefined || had.has(message)) return;
    had.add(message);
    this.handle(to, message);
  }

  /** Everything that is under way for an order, to every consumer once in turn. */
  advance(orderId: string): void {
    for (const index of CONSUMERS.keys()) while (this.deliver(index, orderId));
  }

  /** A message that the consumer has had before. */
  redeliver(consumer: number, orderId: string, which: number): void {
    const to = consumerAt(consumer);
    const had = this.messages(to.topic, orderId).slice(0, this.position(to, orderId));
    const message = had[which % Math.max(had.length, 1)];
    if (message !== undefined) this.handle(to, message);
  }

  /** The provider does what one of the calls asks; when the answer is lost it will be asked again. */
  provide(which: number, approves: boolean, answerIsLost: boolean): void {
    const call = this.calls[which % Math.max(this.calls.length, 1)];
    if (call === undefined) return;
    call.asked = true;
    const { kind, orderId, paymentId, amount } = call;
    const charge = this.charges.get(paymentId) ?? { orderId, amount, approved: approves, refunded: false };
    this.charges.set(paymentId, charge);
    if (kind === 'REFUND') charge.refunded = true;
    if (answerIsLost) return;
    this.calls = this.calls.filter((other) => other !== call);
    const at = this.now();
    if (kind === 'REFUND') this.decidePayment(orderId, { type: 'confirmRefund', paymentId, at });
    else if (charge.approved) this.decidePayment(orderId, { type: 'approve', paymentId, reference: paymentId, at });
    else this.decidePayment(orderId, { type: 'decline', paymentId, reason: 'CARD_DECLINED', at });
  }

  /** Delivers and answers whatever is still under way. */
  settle(): void {
    for (let busy = true; busy;) {
      busy = this.calls.length > 0;
      this.provide(0, true, false);
      for (const orderId of this.orders.keys()) {
        for (const index of CONSUMERS.keys()) busy = this.deliver(index, orderId) || busy;
      }
    }
  }

  /** Of an order: what wallets and provider have taken and not given back, payment by payment. */
  taken(orderId: string): number[] {
    const attempts = this.books.get(orderId)?.attempts ?? [];
    const fromWallets = attempts.filter(({ method, status }) => method === 'WALLET' && status === 'COMPLETED');
    const charged = [...this.charges.values()].filter(
      (one) => one.orderId === orderId && one.approved && !one.refunded,
    );
    return [...fromWallets, ...charged].map(({ amount }) => amount);
  }

  private handle({ name }: Consumer, message: AnyNewEvent): void {
    const at = this.now();
    const { type, subject: orderId, data } = message;
    switch (name) {
      case 'product.reservations': {
        const { items } = (data as OrderEventData).order;
        if (type === 'order.created') this.decideStock({ type: 'reserve', orderId, items, at });
        if (type === 'order.canceled') this.decideStock({ type: 'release', orderId, at });
        if (type === 'order.completed') this.decideStock({ type: 'consume', orderId, at });
        return;
      }
      case 'balance.payments': {
        const { payment, total } = (data as OrderEventData).order;
        if (type === 'order.payment_requested' && payment !== null) {
          const { paymentId, method, accountId } = payment;
          const attempt = { paymentId, method, accountId, amount: total };
          this.decidePayment(orderId, { type: 'request', orderId, attempt, at });
        }
        if (type === 'order.canceled') this.decidePayment(orderId, { type: 'cancel', orderId, at });
        return;
      }
      case 'order.stock':
        if (type === 'stock.reserved') this.decideOrder(orderId, { type: 'stockReserved', at });
        if (type === 'stock.rejected') this.decideOrder(orderId, { type: 'stockRejected', at });
        return;
      case 'order.payments': {
        const { paymentId } = data as { readonly paymentId: string };
        if (type === 'payment.completed') {
          this.decideOrder(orderId, { type: 'paymentCompleted', paymentId, reference: null, at });
        }
        if (type === 'payment.failed')
          this.decideOrder(orderId, { type: 'paymentFailed', paymentId, reason: null, at });
        if (type === 'payment.refunded') this.decideOrder(orderId, { type: 'paymentRefunded', paymentId, at });
        return;
      }
    }
  }

  private decideOrder(id: string, command: order.OrderCommand): void {
    const before = this.orders.get(id) ?? null;
    const { state, events } = fold(before, order.decide(before, command), order.evolve, order.toData);
    if (state !== null) this.orders.set(id, state);
    this.publish('orders', events);
  }

  private decideStock(command: ReservationCommand): void {
    const { orderId } = command;
    const { reservation, event, moves } = decideReservation(
      this.reservations.get(orderId) ?? null,
      this.products,
      command,
    );
    if (reservation !== null) this.reservations.set(orderId, reservation);
    for (const { productId, stock, reserved } of moves) {
      const before = this.productNow(productId);
      this.changeProduct(productId, product.decide(before, { type: 'moveStock', stock, reserved, at: this.now() }));
    }
    if (reservation === null || event === null) return;
    const data = { reservation: { ...reservation, items: [...reservation.items] } };
    this.publish('stock', [{ type: event, subject: orderId, sequence: reservation.version, data }]);
  }

  private decidePayment(orderId: string, command: PaymentCommand): void {
    const { book, happened, published } = apply(this.books.get(orderId) ?? null, command);
    if (book === null) return;
    this.books.set(orderId, book);
    this.publish('payments', published);
    for (const event of happened) {
      if (event.type === 'chargeRequested') this.collect('CHARGE', orderId, attemptOf(book, event.paymentId));
      if (event.type === 'refundRequested') this.collect('REFUND', orderId, attemptOf(book, event.paymentId));
      // A charge that the provider was never asked for need not be asked for any more.
      if (event.type === 'payment.failed' && event.status === 'VOIDED') {
        this.calls = this.calls.filter(({ paymentId, asked }) => paymentId !== event.paymentId || asked);
      }
    }
  }

  private collect(kind: Call['kind'], orderId: string, { paymentId, method, accountId, amount }: Attempt): void {
    if (method !== 'WALLET') {
      this.calls.push({ kind, orderId, paymentId, amount, asked: false });
      return;
    }
    const wallet = accountId ?? '';
    const at = this.now();
    if (kind === 'REFUND') {
      this.moveMoney(SALES_ID, wallet, 'REFUND', amount);
      this.decidePayment(orderId, { type: 'confirmRefund', paymentId, at });
    } else if (allowed(() => this.moveMoney(wallet, SALES_ID, 'PAYMENT', amount))) {
      this.decidePayment(orderId, { type: 'approve', paymentId, reference: null, at });
    } else {
      this.decidePayment(orderId, { type: 'decline', paymentId, reason: 'INSUFFICIENT_FUNDS', at });
    }
  }

  private moveMoney(fromId: string, toId: string, kind: TransactionKind, amount: number): void {
    const [from, to] = [this.accounts.get(fromId), this.accounts.get(toId)];
    if (from === undefined || to === undefined) throw new Error('no such account');
    const moved = move(from, to, { kind, amount, transactionId: this.newId('transaction'), at: this.now() });
    this.accounts.set(fromId, moved.from).set(toId, moved.to);
  }

  private productNow(id: string): ProductState {
    const found = this.products.get(id);
    if (found === undefined) throw new Error(`no product ${id}`);
    return found;
  }

  private changeProduct(id: string, events: readonly product.ProductEvent[]): void {
    for (const event of events) this.products.set(id, product.evolve(this.productNow(id), event));
  }

  private publish(topic: Topic, events: readonly AnyNewEvent[]): void {
    for (const event of events) {
      const key = `${topic} ${event.subject}`;
      this.log.set(key, [...(this.log.get(key) ?? []), event]);
    }
  }

  private messages(topic: Topic, orderId: string): readonly AnyNewEvent[] {
    return this.log.get(`${topic} ${orderId}`) ?? [];
  }

  private position({ name }: Consumer, orderId: string): number {
    return this.read.get(`${name} ${orderId}`) ?? 0;
  }

  private now(): number {
    return ++this.clock;
  }

  private newId(kind: string): string {
    return `${kind}-${++this.ids}`;
  }
}

const consumerAt = (index: number): Consumer => CONSUMERS[index % CONSUMERS.length] ?? CONSUMERS[0];

/** Whether the rules let it happen; anything else that goes wrong comes through. */
function allowed(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}
