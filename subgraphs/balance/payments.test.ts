import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toRecord } from '../../shared/events/event.js';
import { specify } from '../../tests/given.js';
import {
  ALREADY_PAID,
  apply,
  decide,
  evolve,
  ORDER_CANCELED,
  type NewAttempt,
  type PaymentBook,
  type PaymentCommand,
  type PaymentEvent,
} from './payments.js';

const given = specify<PaymentBook | null, PaymentCommand, PaymentEvent>({ initial: null, decide, evolve });

const card = (paymentId: string, amount = 5_000): NewAttempt => ({
  paymentId,
  method: 'CREDIT_CARD',
  accountId: null,
  amount,
});
const request = (paymentId: string, amount?: number): PaymentCommand => ({
  type: 'request',
  orderId: 'o1',
  attempt: card(paymentId, amount),
  at: 1,
});
const cancel: PaymentCommand = { type: 'cancel', orderId: 'o1', at: 9 };
const approve: PaymentCommand = { type: 'approve', paymentId: 'p1', reference: 'r1', at: 2 };
const decline: PaymentCommand = { type: 'decline', paymentId: 'p1', reason: 'CARD_DECLINED', at: 2 };
const confirm: PaymentCommand = { type: 'confirmRefund', paymentId: 'p1', at: 10 };

const attempted: PaymentEvent = { type: 'attempted', orderId: 'o1', attempt: card('p1'), at: 1 };
const asked: PaymentEvent[] = [attempted, { type: 'chargeRequested', paymentId: 'p1', at: 1 }];
const completed: PaymentEvent = { type: 'payment.completed', paymentId: 'p1', reference: 'r1', at: 2 };
const declined: PaymentEvent = {
  type: 'payment.failed',
  paymentId: 'p1',
  status: 'FAILED',
  reason: 'CARD_DECLINED',
  at: 2,
};
const closed: PaymentEvent = { type: 'closed', orderId: 'o1', at: 9 };
const voided: PaymentEvent = {
  type: 'payment.failed',
  paymentId: 'p1',
  status: 'VOIDED',
  reason: ORDER_CANCELED,
  at: 9,
};
const refunding = (at: number): PaymentEvent => ({ type: 'refundRequested', paymentId: 'p1', reference: 'r1', at });
const refunded: PaymentEvent = { type: 'payment.refunded', paymentId: 'p1', at: 10 };

describe('an attempt', () => {
  test('is charged when it is asked for, once', () => {
    given([]).when(request('p1')).then(asked);
    given(asked).when(request('p1')).thenNothing();
    given([...asked, declined])
      .when(request('p1'))
      .thenNothing();
  });

  test('has one result, the first', () => {
    given(asked).when(approve).then([completed]);
    given(asked).when(decline).then([declined]);
    given([...asked, completed])
      .when(approve)
      .thenNothing();
    given([...asked, completed])
      .when(decline)
      .thenNothing();
    given([...asked, declined])
      .when(decline)
      .thenNothing();
    given([]).when(approve).thenNothing();
  });

  test('may follow one that failed', () => {
    given([...asked, declined])
      .when(request('p2'))
      .then([
        { type: 'attempted', orderId: 'o1', attempt: card('p2'), at: 1 },
        { type: 'chargeRequested', paymentId: 'p2', at: 1 },
      ]);
  });

  test('is not charged while another one is open or has brought the money', () => {
    const refused = [
      { type: 'attempted', orderId: 'o1', attempt: card('p2'), at: 1 },
      { type: 'payment.failed', paymentId: 'p2', status: 'FAILED', reason: ALREADY_PAID, at: 1 },
    ] as const;
    given(asked).when(request('p2')).then(refused);
    given([...asked, completed])
      .when(request('p2'))
      .then(refused);
  });

  test('of nothing succeeds without anybody being asked', () => {
    const free = { ...attempted, attempt: card('p1', 0) };
    const done: PaymentEvent = { ...completed, reference: null, at: 1 };
    given([]).when(request('p1', 0)).then([free, done]);
    given([free, done])
      .when(cancel)
      .then([closed, { ...refunded, at: 9 }]);
  });
});

describe('a cancel', () => {
  test('before any request leaves a tombstone and says nothing', () => {
    given([]).when(cancel).then([closed]);
    expect(apply(null, cancel)).toMatchObject({ book: { version: 0, closed: true, attempts: [] }, published: [] });
  });

  test('makes a request that comes later fail', () => {
    given([closed])
      .when(request('p1'))
      .then([attempted, { ...voided, at: 1 }]);
  });

  test('voids an open attempt; a decline that comes later changes nothing', () => {
    given(asked).when(cancel).then([closed, voided]);
    given([...asked, closed, voided])
      .when(decline)
      .thenNothing();
  });

  test('gives back what comes in later, once', () => {
    given([...asked, closed, voided])
      .when(approve)
      .then([refunding(2)]);
    given([...asked, closed, voided, refunding(2)])
      .when(approve)
      .thenNothing();
    given([...asked, closed, voided, refunding(2)])
      .when(confirm)
      .then([refunded]);
    given([...asked, closed, voided, refunding(2), refunded])
      .when(confirm)
      .thenNothing();
    given([...asked, closed, voided, refunding(2), refunded])
      .when(approve)
      .thenNothing();
  });

  test('gives back what has come in, once', () => {
    given([...asked, completed])
      .when(cancel)
      .then([closed, refunding(9)]);
    given([...asked, completed, closed, refunding(9)])
      .when(cancel)
      .thenNothing();
    given([...asked, completed, closed, refunding(9)])
      .when(confirm)
      .then([refunded]);
  });

  test('leaves failed attempts as they are', () => {
    given([...asked, declined])
      .when(cancel)
      .then([closed]);
  });

  test('nothing is given back that was not asked back', () => {
    given([...asked, completed])
      .when(confirm)
      .thenNothing();
  });
});

test('what is published carries the whole book, a version each, and fits the catalogue', () => {
  let book: PaymentBook | null = null;
  const published = [request('p1'), decline, request('p2'), { ...approve, paymentId: 'p2' }, cancel].flatMap(
    (command) => {
      const outcome = apply(book, command);
      book = outcome.book;
      return outcome.published;
    },
  );
  expect(published.map(({ type, sequence }) => [type, sequence])).toEqual([
    ['payment.failed', 1],
    ['payment.completed', 2],
  ]);
  expect(published[1]?.data).toEqual({
    paymentId: 'p2',
    payments: {
      orderId: 'o1',
      version: 2,
      updatedAt: 2,
      attempts: [
        { ...card('p1'), status: 'FAILED', reference: null, reason: 'CARD_DECLINED' },
        { ...card('p2'), status: 'COMPLETED', reference: 'r1', reason: null },
      ],
    },
  });
  for (const event of published) {
    expect(() => toRecord({ ...event, id: 'e', source: 's', time: 0, traceparent: null })).not.toThrow();
  }
});

test('duplicated and crossed as they may come, no attempt is charged twice and a canceled order keeps no money', () => {
  const paymentIds = ['p1', 'p2', 'p3'];
  const id = fc.constantFrom(...paymentIds);
  const step = fc.oneof(
    fc.record({ type: fc.constant('request' as const), id }),
    fc.record({ type: fc.constant('cancel' as const) }),
    // The provider answers something it was asked, or repeats an answer.
    fc.record({ type: fc.constant('answer' as const), pick: fc.nat() }),
  );
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
      (steps, approvals) => {
        let book: PaymentBook | null = null;
        // What the provider was asked, and what it did; it takes and gives back once per payment however often it is asked.
        const asks: { readonly kind: 'charge' | 'refund'; readonly paymentId: string }[] = [];
        const charged = new Set<string>();
        const refundedIds = new Set<string>();
        const handle = (command: PaymentCommand): void => {
          const outcome = apply(book, command);
          book = outcome.book;
          for (const event of outcome.happened) {
            if (event.type === 'chargeRequested') asks.push({ kind: 'charge', paymentId: event.paymentId });
            if (event.type === 'refundRequested') asks.push({ kind: 'refund', paymentId: event.paymentId });
          }
        };
        const answer = ({ kind, paymentId }: (typeof asks)[number]): void => {
          if (kind === 'refund') {
            refundedIds.add(paymentId);
            handle({ type: 'confirmRefund', paymentId, at: 1 });
          } else if (approvals[paymentIds.indexOf(paymentId)] === true) {
            charged.add(paymentId);
            handle({ type: 'approve', paymentId, reference: `r-${paymentId}`, at: 1 });
          } else handle({ type: 'decline', paymentId, reason: 'NO', at: 1 });
        };
        let canceled = false;
        for (const one of steps) {
          if (one.type === 'request') handle({ ...request(one.id), at: 1 });
          else if (one.type === 'cancel') {
            canceled = true;
            handle(cancel);
          } else {
            const ask = asks[one.pick % Math.max(asks.length, 1)];
            if (ask !== undefined) answer(ask);
          }
        }
        // Everything that was asked is answered in the end.
        for (let index = 0; index < asks.length; index += 1) answer(asks[index] as (typeof asks)[number]);

        const wanted = asks.map(({ kind, paymentId }) => `${kind} ${paymentId}`);
        expect(new Set(wanted).size).toBe(wanted.length);
        const kept = [...charged].filter((paymentId) => !refundedIds.has(paymentId));
        expect(kept.length).toBeLessThanOrEqual(canceled ? 0 : 1);
        const last = book as PaymentBook | null;
        for (const attempt of last?.attempts ?? []) {
          expect(attempt.status).not.toBe('REQUESTED');
          expect(attempt.refunding).toBe(false);
          const status = !charged.has(attempt.paymentId)
            ? ['FAILED', 'VOIDED']
            : refundedIds.has(attempt.paymentId)
              ? ['REFUNDED']
              : ['COMPLETED'];
          expect(status).toContain(attempt.status);
        }
      },
    ),
  );
});
