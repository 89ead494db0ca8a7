import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toRecord, type AnyEvent } from '../../shared/events/event.js';
import { fold } from '../../shared/events/fold.js';
import { specify } from '../../tests/given.js';
import { decide, decideAll, evolve, type UserCommand, type UserEvent, type UserState } from './user.js';
import { toData } from './store.js';

const given = specify<UserState | null, UserCommand, UserEvent>({ initial: null, decide, evolve });

const joao = { id: 'u1', name: 'João Silva', email: 'joao@example.com', role: 'USER', locale: 'PT' } as const;
const { id: _, ...person } = joao;
const created: UserEvent = { type: 'user.created', ...joao, at: 1 };
const verified: UserEvent = { type: 'user.updated', ...person, verified: true, at: 2 };
const deleted: UserEvent = { type: 'user.deleted', at: 3 };
const free = { openOrders: 0, accountsWithMoney: 0 };
const verification = { id: 'v1', expiresAt: 600_001 };
const requested = (at: number): UserEvent => ({ type: 'user.verification_requested', verification, at });
const update = { type: 'update', verification } as const;

describe('a new user', () => {
  test('is created once, unverified', () => {
    given([])
      .when({ type: 'create', ...joao, at: 1 })
      .then([created]);
    given([])
      .when({ type: 'create', ...joao, at: 1 })
      .thenState({ ...joao, version: 1, verified: false, deleted: false, createdAt: 1, updatedAt: 1 });
    given([created])
      .when({ type: 'create', ...joao, at: 2 })
      .thenRefused('CONFLICT', 'id');
  });

  test('is written to where a verification comes with it', () => {
    given([])
      .when({ type: 'create', ...joao, at: 1, verification })
      .then([created, requested(1)]);
    given([])
      .when({ type: 'create', ...joao, at: 1, verification })
      .thenState({ version: 2, verified: false });
  });
});

describe('an update', () => {
  test('changes what it names and keeps the rest', () => {
    given([created])
      .when({ ...update, name: 'João', at: 2 })
      .then([{ type: 'user.updated', ...person, name: 'João', verified: false, at: 2 }]);
    given([created])
      .when({ ...update, role: 'ADMIN', at: 2 })
      .thenState({ ...joao, role: 'ADMIN', version: 2, updatedAt: 2 });
    given([created])
      .when({ ...update, locale: 'EN', at: 2 })
      .thenState({ ...joao, locale: 'EN', version: 2 });
  });

  test('to what is there is no change', () => {
    given([created])
      .when({ ...update, ...person, at: 2 })
      .thenNothing();
    given([created])
      .when({ ...update, at: 2 })
      .thenNothing();
  });

  test('to a new address takes the confirmation of the old one back and asks for one of the new', () => {
    const email = 'new@example.com';
    for (const history of [[created], [created, verified]]) {
      given(history)
        .when({ ...update, email, at: 3 })
        .then([{ type: 'user.updated', ...person, email, verified: false, at: 3 }, requested(3)]);
    }
    given([created, verified])
      .when({ ...update, name: 'João', at: 3 })
      .thenState({ verified: true });
  });

  test('to another spelling of the address keeps its confirmation', () => {
    const email = 'Joao@Example.com';
    given([created, verified])
      .when({ ...update, email, at: 3 })
      .then([{ type: 'user.updated', ...person, email, verified: true, at: 3 }]);
  });

  test('needs a user', () => {
    given([])
      .when({ ...update, name: 'x', at: 2 })
      .thenRefused('NOT_FOUND', 'id');
    given([created, deleted])
      .when({ ...update, name: 'x', at: 4 })
      .thenRefused('NOT_FOUND', 'id');
  });
});

describe('a verification', () => {
  test('is asked for as often as one likes, until the address is confirmed', () => {
    given([created])
      .when({ type: 'requestVerification', verification, at: 2 })
      .then([requested(2)]);
    given([created, requested(2)])
      .when({ type: 'requestVerification', verification, at: 3 })
      .then([requested(3)]);
    given([created, verified]).when({ type: 'requestVerification', verification, at: 3 }).thenNothing();
  });

  test('confirms the address once and leaves the rest', () => {
    given([created]).when({ type: 'verify', at: 2 }).then([verified]);
    given([created])
      .when({ type: 'verify', at: 2 })
      .thenState({ ...joao, verified: true, version: 2, updatedAt: 2 });
    given([created, verified]).when({ type: 'verify', at: 3 }).thenNothing();
  });

  test('needs a user', () => {
    given([created, deleted]).when({ type: 'verify', at: 4 }).thenRefused('NOT_FOUND', 'id');
    given([created, deleted]).when({ type: 'requestVerification', verification, at: 4 }).thenRefused('NOT_FOUND', 'id');
  });
});

describe('a deletion', () => {
  test('keeps the row and clears personal data', () => {
    given([created]).when({ type: 'delete', obligations: free, at: 3 }).then([deleted]);
    given([created])
      .when({ type: 'delete', obligations: free, at: 3 })
      .thenState({ id: 'u1', version: 2, name: '', email: '', verified: false, deleted: true });
  });

  test('waits for open orders and money', () => {
    const orders = { openOrders: 1, accountsWithMoney: 0 };
    const money = { openOrders: 0, accountsWithMoney: 1 };
    given([created]).when({ type: 'delete', obligations: orders, at: 3 }).thenRefused('CONFLICT', 'id');
    given([created]).when({ type: 'delete', obligations: money, at: 3 }).thenRefused('CONFLICT', 'id');
  });

  test('happens once', () => {
    given([created, deleted]).when({ type: 'delete', obligations: free, at: 4 }).thenRefused('NOT_FOUND', 'id');
  });
});

test('commands in a row are each decided upon what the ones before leave', () => {
  const create: UserCommand = { type: 'create', ...joao, at: 2 };
  expect(decideAll(null, [create, { type: 'verify', at: 2 }])).toEqual([{ ...created, at: 2 }, verified]);
});

test('whatever happens, the state fits the catalogue and its version counts the events', () => {
  const change = fc.record({
    type: fc.constant('update' as const),
    name: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    email: fc.option(fc.emailAddress(), { nil: undefined }),
    role: fc.option(fc.constantFrom('USER' as const, 'ADMIN' as const), { nil: undefined }),
    locale: fc.option(fc.constantFrom('EN' as const, 'PT' as const), { nil: undefined }),
    verification: fc.constant(verification),
    at: fc.nat(),
  });
  const others = fc.constantFrom<UserCommand>(
    { type: 'requestVerification', verification, at: 7 },
    { type: 'verify', at: 8 },
    { type: 'delete', obligations: free, at: 9 },
  );
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: change }, others), { maxLength: 12 }), (commands) => {
      let state = evolve(null, created);
      let count = 1;
      for (const command of commands) {
        if (state.deleted) break;
        for (const event of decide(state, command)) {
          const folded = fold(state, [event], evolve, toData);
          state = folded.state;
          count += 1;
          const [published] = folded.events;
          expect(published).toMatchObject({ type: event.type, subject: 'u1', sequence: count });
          const envelope = { id: 'e', source: 's', time: 0, traceparent: null };
          const record = toRecord({ ...published, ...envelope } as AnyEvent);
          expect(JSON.parse(record.value)).toEqual(published?.data);
        }
      }
      expect(state.version).toBe(count);
    }),
  );
});
