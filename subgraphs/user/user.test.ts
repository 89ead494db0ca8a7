import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toRecord } from '../../shared/events/event.js';
import { specify } from '../../tests/given.js';
import { decide, evolve, type UserCommand, type UserEvent, type UserState } from './user.js';

const given = specify<UserState | null, UserCommand, UserEvent>({ initial: null, decide, evolve });

const joao = { id: 'u1', name: 'João Silva', email: 'joao@example.com', role: 'USER' } as const;
const created: UserEvent = { type: 'user.created', ...joao, at: 1 };
const deleted: UserEvent = { type: 'user.deleted', at: 3 };
const free = { openOrders: 0, accountsWithMoney: 0 };

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

describe('an update', () => {
  test('changes what it names and keeps the rest', () => {
    given([created])
      .when({ type: 'update', name: 'João', at: 2 })
      .then([{ type: 'user.updated', name: 'João', email: joao.email, role: 'USER', verified: false, at: 2 }]);
    given([created])
      .when({ type: 'update', role: 'ADMIN', at: 2 })
      .thenState({ ...joao, role: 'ADMIN', version: 2, updatedAt: 2 });
  });

  test('to what is there is no change', () => {
    given([created])
      .when({ type: 'update', ...joao, at: 2 })
      .thenNothing();
    given([created]).when({ type: 'update', at: 2 }).thenNothing();
  });

  test('to a new address takes the confirmation of the old one back', () => {
    const verified: UserEvent = { ...joao, type: 'user.updated', verified: true, at: 2 };
    given([created, verified]).when({ type: 'update', email: 'new@example.com', at: 3 }).thenState({ verified: false });
    given([created, verified]).when({ type: 'update', name: 'João', at: 3 }).thenState({ verified: true });
  });

  test('needs a user', () => {
    given([]).when({ type: 'update', name: 'x', at: 2 }).thenRefused('NOT_FOUND', 'id');
    given([created, deleted]).when({ type: 'update', name: 'x', at: 4 }).thenRefused('NOT_FOUND', 'id');
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

test('whatever happens, the state fits the catalogue and its version counts the events', () => {
  const update = fc.record({
    type: fc.constant('update' as const),
    name: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    email: fc.option(fc.emailAddress(), { nil: undefined }),
    role: fc.option(fc.constantFrom('USER' as const, 'ADMIN' as const), { nil: undefined }),
    at: fc.nat(),
  });
  const remove = fc.constant<UserCommand>({ type: 'delete', obligations: free, at: 9 });
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 5, arbitrary: update }, remove), { maxLength: 12 }), (commands) => {
      let state = evolve(null, created);
      let count = 1;
      for (const command of commands) {
        if (state.deleted) break;
        for (const event of decide(state, command)) {
          state = evolve(state, event);
          count += 1;
          const published = { type: event.type, subject: 'u1', sequence: count, data: { user: state } };
          const record = toRecord({ ...published, id: 'e', source: 's', time: 0, traceparent: null });
          expect(JSON.parse(record.value)).toEqual({ user: state });
        }
      }
      expect(state.version).toBe(count);
    }),
  );
});
