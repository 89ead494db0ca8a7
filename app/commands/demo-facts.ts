/** What a run of the demo saw: events, messages, mails, and how long each took. */
import { setTimeout as delay } from 'node:timers/promises';
import { GraphError, type Call, type DemoClient, type Mail, type Push } from './demo-client.js';

/** What went before an event: another event, a call of ours, or nothing but the clock. */
export type Cause = { readonly after: 'event' | 'call' | 'timer'; readonly name: string; readonly ms: number };

export interface EventFact {
  readonly kind: 'event';
  readonly id: string;
  readonly service: string;
  readonly type: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly aggregateId: string;
  readonly version: number;
  /** Milliseconds since the epoch, by the clock of the service. */
  readonly at: number;
  readonly cause: Cause | null;
}

/** `ms` is the way from the service's clock to ours; null where the two clocks are visibly not the same. */
export interface PushFact {
  readonly kind: 'push';
  readonly status: string;
  readonly version: number;
  readonly ms: number | null;
}

/** `ms`: from the event to the mail, by the clocks of the system. */
export interface MailFact {
  readonly kind: 'mail';
  readonly mail: string;
  readonly subject: string;
  readonly ms: number | null;
}

export interface RestFact {
  readonly kind: 'rest';
  readonly path: string;
  readonly body: string;
  readonly ms: number;
}

export type Fact = EventFact | PushFact | MailFact | RestFact;

/** Events that services answer with events, and calls that make them. What is in neither list comes from the clock. */
const CAUSES: Readonly<Record<string, readonly string[]>> = {
  'user.verification_requested': ['user.created'],
  'stock.reserved': ['order.created'],
  'stock.rejected': ['order.created'],
  'stock.released': ['order.canceled'],
  'stock.consumed': ['order.completed'],
  'product.stock_changed': ['order.created', 'order.canceled', 'order.completed'],
  'order.awaiting_payment': ['stock.reserved'],
  'account.balance_changed PAYMENT': ['order.payment_requested'],
  'account.balance_changed REFUND': ['order.canceled'],
  'payment.completed': ['order.payment_requested'],
  'payment.failed': ['order.payment_requested', 'order.canceled'],
  'payment.refunded': ['order.canceled'],
  'order.paid': ['payment.completed'],
  'order.payment_failed': ['payment.failed'],
  'order.payment_refunded': ['payment.refunded'],
};
const CALLS: Readonly<Record<string, string>> = {
  'user.created': 'register',
  'user.updated': 'verifyEmail',
  'product.created': 'createProduct',
  'account.created': 'createAccount',
  'account.balance_changed TRANSFER': 'transfer',
  'order.created': 'createOrder',
  'order.payment_requested': 'payOrder',
  'order.payment_kept': 'payOrder',
  'order.canceled': 'cancelOrder',
  'order.processing': 'updateOrderStatus',
  'order.completed': 'updateOrderStatus',
};
/** The clock runs from here. */
const TIMED: Readonly<Record<string, string>> = {
  'order.payment_reminder': 'order.created',
  'order.processing': 'order.paid',
  'order.completed': 'order.processing',
};

const FIELDS = 'id type source aggregateId version at topic partition offset data';

interface Entry {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly aggregateId: string;
  readonly version: number;
  readonly at: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  readonly data: { readonly transaction?: { readonly kind: string } };
}

/** Between two looks. */
const LOOK_MS = 25;

/** How a wait ends before its time. */
export interface Waiting {
  readonly patienceMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks until there is an answer, and answers undefined when the time is up.
 * @throws AbortError when the signal says so
 */
export async function waitFor<T>(
  ask: () => Promise<T | undefined>,
  { patienceMs, signal }: Waiting,
): Promise<T | undefined> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    signal.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined || performance.now() > deadline) return answer;
    await delay(LOOK_MS, undefined, { signal });
  }
}

/** What comes instead of something that was hoped for. */
const REFUSALS = ['stock.rejected', 'payment.failed'];

/** Reads the timelines of what the demo has made, and tells every event once. */
export class Witness {
  private readonly known: EventFact[] = [];
  private readonly seen = new Set<string>();

  /** @param reader somebody who may see all of it */
  constructor(
    private readonly reader: DemoClient,
    private readonly calls: readonly Call[],
  ) {}

  /**
   * Waits until all these types have come anew in the timelines of those aggregates, or a refusal has, or until the time is
   * up, and answers everything new, in the order in which it happened.
   */
  async events(ids: readonly string[], types: readonly string[], waiting: Waiting): Promise<EventFact[]> {
    let found: readonly Entry[] = [];
    await waitFor(async () => {
      found = (await this.read(ids)).filter(({ id }) => !this.seen.has(id));
      const isOver = missing(types, found).length === 0 || found.some(({ type }) => REFUSALS.includes(type));
      return isOver ? true : undefined;
    }, waiting);
    const inOrder = [...found].sort((a, b) => Date.parse(a.at) - Date.parse(b.at) || (a.id < b.id ? -1 : 1));
    return inOrder.map((entry) => this.take(entry));
  }

  /** The last event of that type of an aggregate, of those told so far. */
  newest(id: string, type: string): EventFact | undefined {
    return this.known.findLast((one) => one.aggregateId === id && one.type === type);
  }

  private async read(ids: readonly string[]): Promise<readonly Entry[]> {
    if (ids.length === 0) return [];
    const names = ids.map((_, at) => `id${at}`);
    const fields = names.map((name) => `${name}: timeline(aggregateId: $${name}) { ${FIELDS} }`);
    const document = `query Demo(${names.map((name) => `$${name}: ID!`).join(' ')}) { ${fields.join(' ')} }`;
    const variables = Object.fromEntries(names.map((name, at) => [name, ids[at]]));
    try {
      return Object.values(await this.reader.query<Record<string, Entry[]>>(document, variables)).flat();
    } catch (error) {
      // The views have not heard of it yet.
      if (error instanceof GraphError && error.code === 'NOT_FOUND') return [];
      throw error;
    }
  }

  private take({ source, at, data, ...entry }: Entry): EventFact {
    const event = { ...entry, kind: 'event' as const, service: source.split('/').at(-1) ?? source, at: Date.parse(at) };
    const { transaction } = data;
    // Why money moved tells what moved it.
    const cause = this.causeOf(transaction === undefined ? event.type : `${event.type} ${transaction.kind}`, event.at);
    const fact: EventFact = { ...event, cause };
    this.seen.add(fact.id);
    this.known.push(fact);
    return fact;
  }

  private causeOf(what: string, at: number): Cause | null {
    const before = (types: readonly string[]) => this.known.findLast((one) => types.includes(one.type) && one.at <= at);
    const led = before(CAUSES[what] ?? []);
    if (led !== undefined) return { after: 'event', name: led.type, ms: at - led.at };
    const call = CALLS[what];
    const called = this.calls.findLast(({ mutation }) => mutation === call);
    if (called !== undefined) return { after: 'call', name: called.mutation, ms: called.ms };
    const timed = before([TIMED[what] ?? '']);
    return timed === undefined ? null : { after: 'timer', name: timed.type, ms: at - timed.at };
  }
}

/** Those types that are not there yet; one that is named twice has to come twice. */
export function missing(types: readonly string[], found: readonly { readonly type: string }[]): string[] {
  const there = found.map(({ type }) => type);
  return types.filter((type) => {
    const at = there.indexOf(type);
    if (at === -1) return true;
    there.splice(at, 1);
    return false;
  });
}

/** A message, and how long it took to come; more than the clocks of two machines differ by is not told. */
export const pushFact = ({ status, version, at, heardAt }: Push): PushFact => ({
  kind: 'push',
  status,
  version,
  ms: heardAt >= at ? Math.round(heardAt - at) : null,
});

/** A mail, and how long after the event that asked for it. */
export const mailFact = ({ kind, subject, sentAt }: Mail, event: EventFact | undefined): MailFact => ({
  kind: 'mail',
  mail: kind,
  subject,
  ms: event === undefined ? null : Math.max(0, Date.parse(sentAt) - event.at),
});
