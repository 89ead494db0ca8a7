import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { orderState, type OrderItem, type OrderState, type OrderStatus } from '../../shared/events/states.js';
import { AppError } from '../../shared/errors/errors.js';
import { fold } from '../../shared/events/fold.js';
import { toRecord } from '../../shared/events/event.js';
import { specify } from '../../tests/given.js';
import {
  decide,
  evolve,
  isOpen,
  MAX_FAILED_PAYMENTS,
  toData,
  totalOf,
  type Attempt,
  type OrderCommand,
  type OrderEvent,
  type OrderRequest,
} from './order.js';

const given = specify<OrderState | null, OrderCommand, OrderEvent>({ initial: null, decide, evolve });

const items: OrderItem[] = [
  { productId: 'phone', name: 'iPhone 15', quantity: 2, unitPrice: 599_999 },
  { productId: 'case', name: 'Case', quantity: 1, unitPrice: 1_990 },
];
const card = (paymentId: string): Attempt => ({ paymentId, method: 'CREDIT_CARD', accountId: null });

const created: OrderEvent = { type: 'order.created', id: 'o1', userId: 'u1', items, at: 1 };
const awaiting: OrderEvent = { type: 'order.awaiting_payment', at: 2 };
const kept: OrderEvent = { type: 'order.payment_kept', attempt: card('p1'), at: 2 };
const requested: OrderEvent = { type: 'order.payment_requested', attempt: card('p1'), at: 3 };
const failed: OrderEvent = { type: 'order.payment_failed', reason: 'declined', at: 4 };
const paid: OrderEvent = { type: 'order.paid', reference: 'ref', at: 4 };
const processing: OrderEvent = { type: 'order.processing', at: 5 };
const completed: OrderEvent = { type: 'order.completed', at: 6 };
const canceled: OrderEvent = { type: 'order.canceled', reason: 'changed my mind', at: 7 };
const deleted: OrderEvent = { type: 'order.deleted', at: 8 };

const history: Record<OrderStatus, OrderEvent[]> = {
  PENDING: [created],
  AWAITING_PAYMENT: [created, awaiting],
  PAID: [created, awaiting, requested, paid],
  PROCESSING: [created, awaiting, requested, paid, processing],
  COMPLETED: [created, awaiting, requested, paid, processing, completed],
  CANCELED: [created, awaiting, canceled],
};
const statuses = Object.keys(history) as OrderStatus[];
const except = (...some: OrderStatus[]): OrderStatus[] => statuses.filter((status) => !some.includes(status));

const pay: OrderCommand = { type: 'pay', attempt: card('p2'), at: 9 };
const cancel: OrderCommand = { type: 'cancel', reason: 'late', at: 9 };

test('a new order is pending, at the sum of its items', () => {
  const create = given([]).when({ type: 'create', id: 'o1', userId: 'u1', items, at: 1 });
  create.then([created]);
  create.thenState({
    version: 1,
    status: 'PENDING',
    total: 1_201_988,
    payment: null,
    history: [{ version: 1, status: 'PENDING', at: 1, reason: null }],
  });
  given([created]).when({ type: 'create', id: 'o1', userId: 'u1', items, at: 1 }).thenRefused('CONFLICT', 'id');
});

test('reserved stock lets the customer pay', () => {
  given([created]).when({ type: 'stockReserved', at: 2 }).then([awaiting]);
  given([created, awaiting])
    .when(pay)
    .then([{ type: 'order.payment_requested', attempt: card('p2'), at: 9 }]);
});

test('a payment asked for while pending is kept, and runs once the stock is reserved', () => {
  given([created])
    .when(pay)
    .then([{ type: 'order.payment_kept', attempt: card('p2'), at: 9 }]);
  given([created])
    .when(pay)
    .thenState({
      version: 2,
      status: 'PENDING',
      payment: {
        paymentId: 'p2',
        method: 'CREDIT_CARD',
        accountId: null,
        status: 'WAITING_FOR_STOCK',
        reference: null,
      },
    });
  given([created, kept])
    .when({ type: 'stockReserved', at: 3 })
    .then([{ ...awaiting, at: 3 }, requested]);
});

test('stock that is not there cancels a pending order and nothing else', () => {
  const rejected: OrderCommand = { type: 'stockRejected', at: 9 };
  for (const events of [[created], [created, kept]]) {
    given(events)
      .when(rejected)
      .then([{ type: 'order.canceled', reason: 'INSUFFICIENT_STOCK', at: 9 }]);
  }
  given([created, kept]).when(rejected).thenState({ status: 'CANCELED', cancelReason: 'INSUFFICIENT_STOCK' });
  for (const status of except('PENDING')) given(history[status]).when(rejected).thenNothing();
});

test.each(except('PENDING'))('a reservation reported of an order that is %s changes nothing', (status) => {
  given(history[status]).when({ type: 'stockReserved', at: 9 }).thenNothing();
});

const expire: OrderCommand = { type: 'expire', at: 9 };
const remind: OrderCommand = { type: 'remind', reminder: { number: 2, expiresAt: 99 }, at: 9 };

test('an order that nobody paid in time is canceled as PAYMENT_EXPIRED, whatever stock and payment are at', () => {
  const expired: OrderEvent = { type: 'order.canceled', reason: 'PAYMENT_EXPIRED', at: 9 };
  for (const events of [[created], [created, kept], [created, awaiting], [created, awaiting, requested, failed]]) {
    given(events).when(expire).then([expired]);
  }
  given([created, awaiting, requested]).when(expire).then([expired]);
  given([created, awaiting, requested])
    .when(expire)
    .thenState({ status: 'CANCELED', cancelReason: 'PAYMENT_EXPIRED', version: 4 });
});

test('money that comes after the expiry does not make the order paid', () => {
  const expired: OrderEvent = { type: 'order.canceled', reason: 'PAYMENT_EXPIRED', at: 4 };
  const late = given([created, awaiting, requested, expired]);
  late.when({ type: 'paymentCompleted', paymentId: 'p1', reference: 'ref', at: 9 }).thenNothing();
  late.when({ type: 'paymentRefunded', paymentId: 'p1', at: 9 }).then([{ type: 'order.payment_refunded', at: 9 }]);
});

test('a reminder raises the version, says which one it is, and changes nothing else', () => {
  const reminded: OrderEvent = { type: 'order.payment_reminder', reminder: { number: 2, expiresAt: 99 }, at: 9 };
  for (const events of [[created], [created, awaiting], [created, awaiting, requested, failed]]) {
    given(events).when(remind).then([reminded]);
  }
  const before = [created, awaiting].reduce<OrderState | null>(evolve, null) as OrderState;
  const { state, events } = fold(before, decide(before, remind), evolve, toData);
  expect(state).toEqual({ ...before, version: 3, updatedAt: 9 });
  expect(events).toEqual([
    {
      type: 'order.payment_reminder',
      subject: 'o1',
      sequence: 3,
      data: { order: state, reminder: { number: 2, expiresAt: 99 } },
    },
  ]);
  for (const event of events) {
    expect(toRecord({ ...event, id: 'e', source: 's', time: 9, traceparent: null })).toMatchObject({ key: 'o1' });
  }
});

test('whoever is paying is not reminded', () => {
  given([created, kept]).when(remind).thenNothing();
  given([created, awaiting, requested]).when(remind).thenNothing();
});

test.each(except('PENDING', 'AWAITING_PAYMENT'))('an order that is %s neither expires nor is reminded of', (status) => {
  given(history[status]).when(expire).thenNothing();
  given(history[status]).when(remind).thenNothing();
  given([]).when(expire).thenNothing();
});

test('one payment at a time', () => {
  given([created, kept]).when(pay).thenRefused('INVALID_STATE', 'id');
  given([created, awaiting, requested]).when(pay).thenRefused('INVALID_STATE', 'id');
});

test('after a failed payment another may be made', () => {
  const events = [created, awaiting, requested, failed];
  given(events.slice(0, 3)).when({ type: 'paymentFailed', paymentId: 'p1', reason: 'declined', at: 4 }).then([failed]);
  given(events)
    .when(pay)
    .then([{ type: 'order.payment_requested', attempt: card('p2'), at: 9 }]);
  given(events.slice(0, 3))
    .when({ type: 'paymentFailed', paymentId: 'p1', reason: 'declined', at: 4 })
    .thenState({
      status: 'AWAITING_PAYMENT',
      payment: { paymentId: 'p1', method: 'CREDIT_CARD', accountId: null, status: 'FAILED', reference: null },
      history: [
        { version: 1, status: 'PENDING', at: 1, reason: null },
        { version: 2, status: 'AWAITING_PAYMENT', at: 2, reason: null },
        { version: 4, status: 'AWAITING_PAYMENT', at: 4, reason: 'declined' },
      ],
    });
});

test.each(except('PENDING', 'AWAITING_PAYMENT'))('an order that is %s cannot be paid', (status) => {
  given(history[status]).when(pay).thenRefused('INVALID_STATE', 'id');
});

test('an order whose payment fails again and again does not grow without end', () => {
  const events = Array.from({ length: MAX_FAILED_PAYMENTS }, () => [requested, failed]).flat();
  given([created, awaiting, ...events.slice(2)])
    .when(pay)
    .then([{ type: 'order.payment_requested', attempt: card('p2'), at: 9 }]);
  given([created, awaiting, ...events])
    .when(pay)
    .thenRefused('INVALID_STATE', 'id');
  given([created, awaiting, ...events])
    .when(cancel)
    .thenState({ status: 'CANCELED' });
});

test('only the current attempt counts', () => {
  const second = [
    created,
    awaiting,
    requested,
    failed,
    { ...requested, attempt: card('p2'), at: 5 },
  ] satisfies OrderEvent[];
  given(second).when({ type: 'paymentCompleted', paymentId: 'p1', reference: 'r', at: 9 }).thenNothing();
  given(second).when({ type: 'paymentFailed', paymentId: 'p1', reason: null, at: 9 }).thenNothing();
  given(second)
    .when({ type: 'paymentCompleted', paymentId: 'p2', reference: 'r', at: 9 })
    .then([{ type: 'order.paid', reference: 'r', at: 9 }]);
});

test('a result reported again changes nothing', () => {
  given(history.PAID).when({ type: 'paymentCompleted', paymentId: 'p1', reference: 'r', at: 9 }).thenNothing();
  given(history.PAID).when({ type: 'paymentFailed', paymentId: 'p1', reason: null, at: 9 }).thenNothing();
  given([created, awaiting, requested, failed])
    .when({ type: 'paymentFailed', paymentId: 'p1', reason: null, at: 9 })
    .thenNothing();
});

test.each(['PENDING', 'AWAITING_PAYMENT', 'PAID'] as const)('an order that is %s can be canceled', (status) => {
  given(history[status])
    .when(cancel)
    .then([{ type: 'order.canceled', reason: 'late', at: 9 }]);
  given(history[status]).when(cancel).thenState({ status: 'CANCELED', cancelReason: 'late' });
});

test.each(except('PENDING', 'AWAITING_PAYMENT', 'PAID'))('an order that is %s cannot be canceled', (status) => {
  given(history[status]).when(cancel).thenRefused('INVALID_STATE', 'id');
});

test('a cancel ends an open payment; what it may still bring is refunded', () => {
  const events = [created, awaiting, requested, canceled];
  given([created, awaiting, requested])
    .when(cancel)
    .thenState({
      payment: { paymentId: 'p1', method: 'CREDIT_CARD', accountId: null, status: 'FAILED', reference: null },
    });
  given(events).when({ type: 'paymentCompleted', paymentId: 'p1', reference: 'r', at: 9 }).thenNothing();
  given(events).when({ type: 'paymentFailed', paymentId: 'p1', reason: null, at: 9 }).thenNothing();
  given(events)
    .when({ type: 'paymentRefunded', paymentId: 'p1', at: 9 })
    .then([{ type: 'order.payment_refunded', at: 9 }]);
});

test('a refund is recorded once, on a canceled order, for its own payment', () => {
  const refunded: OrderCommand = { type: 'paymentRefunded', paymentId: 'p1', at: 9 };
  const events = [...history.PAID, canceled];
  given(events)
    .when(refunded)
    .then([{ type: 'order.payment_refunded', at: 9 }]);
  given(events).when(refunded).thenState({ status: 'CANCELED', version: 6 });
  given([...events, deleted])
    .when(refunded)
    .then([{ type: 'order.payment_refunded', at: 9 }]);
  given([...events, { type: 'order.payment_refunded', at: 9 }])
    .when(refunded)
    .thenNothing();
  given(events)
    .when({ ...refunded, paymentId: 'p0' })
    .thenNothing();
  given(history.PAID).when(refunded).thenNothing();
});

test('paid, prepared, handed over, in this order', () => {
  given(history.PAID).when({ type: 'startProcessing', at: 5 }).then([processing]);
  given(history.PROCESSING).when({ type: 'complete', at: 6 }).then([completed]);
  for (const status of except('PAID'))
    given(history[status]).when({ type: 'startProcessing', at: 9 }).thenRefused('INVALID_STATE', 'id');
  for (const status of except('PROCESSING'))
    given(history[status]).when({ type: 'complete', at: 9 }).thenRefused('INVALID_STATE', 'id');
});

test('only finished orders can be deleted', () => {
  for (const status of ['COMPLETED', 'CANCELED'] as const)
    given(history[status]).when({ type: 'delete', at: 8 }).then([deleted]);
  for (const status of except('COMPLETED', 'CANCELED')) {
    given(history[status]).when({ type: 'delete', at: 8 }).thenRefused('INVALID_STATE', 'id');
  }
});

test('a deleted order is not found, and neither is one that never was', () => {
  const requests: OrderCommand[] = [
    pay,
    cancel,
    { type: 'startProcessing', at: 9 },
    { type: 'complete', at: 9 },
    { type: 'delete', at: 9 },
  ];
  for (const request of requests) {
    given([...history.COMPLETED, deleted])
      .when(request)
      .thenRefused('NOT_FOUND', 'id');
    given([]).when(request).thenRefused('NOT_FOUND', 'id');
  }
  given([]).when({ type: 'stockReserved', at: 9 }).thenNothing();
});

test('times of an order never run backwards, whatever the clocks say', () => {
  given([{ ...created, at: 100 }])
    .when({ type: 'stockReserved', at: 50 })
    .thenState({ createdAt: 100, updatedAt: 100 });
});

const clock = fc.nat(1_000);
const paymentId = fc.constantFrom('p1', 'p2', 'p3', 'p4', 'p5');
const attempt: fc.Arbitrary<Attempt> = fc.oneof(
  paymentId.map(card),
  paymentId.map((id): Attempt => ({ paymentId: id, method: 'WALLET', accountId: 'a1' })),
);
const anyCommand: fc.Arbitrary<OrderCommand> = fc.oneof(
  fc.record({ type: fc.constant('pay' as const), attempt, at: clock }),
  fc.record({ type: fc.constant('cancel' as const), reason: fc.string({ minLength: 1 }), at: clock }),
  fc.record({ type: fc.constantFrom('startProcessing' as const, 'complete' as const, 'delete' as const), at: clock }),
  fc.record({ type: fc.constantFrom('stockReserved' as const, 'stockRejected' as const), at: clock }),
  fc.record({
    type: fc.constant('paymentCompleted' as const),
    paymentId,
    reference: fc.constantFrom('ref', null),
    at: clock,
  }),
  fc.record({
    type: fc.constant('paymentFailed' as const),
    paymentId,
    reason: fc.constantFrom('declined', null),
    at: clock,
  }),
  fc.record({ type: fc.constant('paymentRefunded' as const), paymentId, at: clock }),
  fc.record({ type: fc.constant('expire' as const), at: clock }),
  fc.record({
    type: fc.constant('remind' as const),
    reminder: fc.record({ number: fc.integer({ min: 1, max: 3 }), expiresAt: fc.option(clock) }),
    at: clock,
  }),
);
const anyItems = fc.array(
  fc.record({
    productId: fc.uuid(),
    name: fc.string(),
    quantity: fc.integer({ min: 1, max: 10_000 }),
    unitPrice: fc.constantFrom(0, 1, 599_999, 1_000_000_000),
  }),
  { minLength: 1, maxLength: 4 },
);

const NEXT: Record<OrderStatus, readonly OrderStatus[]> = {
  PENDING: ['AWAITING_PAYMENT', 'CANCELED'],
  AWAITING_PAYMENT: ['AWAITING_PAYMENT', 'PAID', 'CANCELED'],
  PAID: ['PROCESSING', 'CANCELED'],
  PROCESSING: ['COMPLETED'],
  COMPLETED: [],
  CANCELED: [],
};
const REQUESTS: ReadonlySet<OrderCommand['type']> = new Set<OrderRequest['type']>([
  'create',
  'pay',
  'cancel',
  'startProcessing',
  'complete',
  'delete',
]);

/** As a client or a reaction meets it: a refusal changes nothing; reports are never refused. */
function attemptTo(order: OrderState, command: OrderCommand): OrderEvent[] {
  try {
    return decide(order, command);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect(REQUESTS.has(command.type)).toBe(true);
    return [];
  }
}

test('whatever is asked and reported, however often and in whatever order, an order stays sound', () => {
  fc.assert(
    fc.property(
      anyItems,
      fc.array(anyCommand, { maxLength: 40 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (products, commands, repeats) => {
        // Each number of `repeats` hands in some earlier command once more, at the end: repeated and crossed.
        const again = repeats.flatMap((n) => commands[n % Math.max(1, commands.length)] ?? []);
        let order = evolve(null, { type: 'order.created', id: 'o1', userId: 'u1', items: products, at: 0 });
        /** Attempts that were sent to the balance subgraph and have not failed here. */
        const running = new Set<string>();
        for (const command of [...commands, ...again]) {
          for (const event of attemptTo(order, command)) {
            const before = order;
            order = evolve(before, event);
            expect(order.version).toBe(before.version + 1);
            expect(orderState.parse(order)).toEqual(order);
            expect(order.items).toEqual(products);
            expect(order.total).toBe(totalOf(products));
            expect(order.updatedAt).toBeGreaterThanOrEqual(before.updatedAt);

            const reached = order.history.length > before.history.length;
            expect(order.history.slice(0, before.history.length)).toEqual(before.history);
            expect(reached).toBe(order.status !== before.status || event.type === 'order.payment_failed');
            if (reached) {
              expect(NEXT[before.status]).toContain(order.status);
              expect(order.history.at(-1)).toMatchObject({
                version: order.version,
                status: order.status,
                at: order.updatedAt,
              });
            }
            expect(order.cancelReason !== null).toBe(order.status === 'CANCELED');
            if (['PAID', 'PROCESSING', 'COMPLETED'].includes(order.status))
              expect(order.payment?.status).toBe('COMPLETED');
            if (['COMPLETED', 'CANCELED'].includes(order.status)) expect(isOpen(order.payment)).toBe(false);
            if (before.deleted) expect([event.type, order.deleted]).toEqual(['order.payment_refunded', true]);

            if (event.type === 'order.payment_requested') {
              expect(order.status).toBe('AWAITING_PAYMENT');
              expect(running.size).toBe(0);
              running.add(event.attempt.paymentId);
            }
            if (event.type === 'order.payment_failed') running.clear();
            if (event.type === 'order.paid') expect([...running]).toEqual([order.payment?.paymentId]);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a report that comes again right away changes nothing', () => {
  fc.assert(
    fc.property(fc.array(anyCommand, { maxLength: 30 }), (commands) => {
      let order = evolve(null, created);
      for (const command of commands) {
        order = attemptTo(order, command).reduce<OrderState>(evolve, order);
        // A reminder is sent as often as it is told to be: once per timer.
        if (!REQUESTS.has(command.type) && command.type !== 'remind') expect(decide(order, command)).toEqual([]);
      }
    }),
  );
});

test('each event is published with its own version and the state after itself', () => {
  const order = [created, kept].reduce<OrderState | null>(evolve, null);
  const { state, events } = fold(order, decide(order, { type: 'stockReserved', at: 3 }), evolve, toData);
  expect(events.map(({ type, subject, sequence }) => ({ type, subject, sequence }))).toEqual([
    { type: 'order.awaiting_payment', subject: 'o1', sequence: 3 },
    { type: 'order.payment_requested', subject: 'o1', sequence: 4 },
  ]);
  expect(events.map(({ data }) => (data as { order: OrderState }).order.payment?.status)).toEqual([
    'WAITING_FOR_STOCK',
    'REQUESTED',
  ]);
  expect(state).toEqual((events[1]?.data as { order: OrderState }).order);
  for (const event of events) {
    expect(toRecord({ ...event, id: 'e', source: 'tributary/order', time: 3, traceparent: null })).toMatchObject({
      key: 'o1',
    });
  }
});
