import { AppError, assertNever } from '../../shared/errors/errors.js';
import type { Role, UserState } from '../../shared/events/states.js';

export type { Role, UserState } from '../../shared/events/states.js';

/** What still ties a user to us, as far as the events of others have told. */
export interface Obligations {
  readonly openOrders: number;
  readonly accountsWithMoney: number;
}

/** What may be asked of a user. Ids and instants come in as data. */
export type UserCommand =
  | {
      readonly type: 'create';
      readonly id: string;
      readonly name: string;
      readonly email: string;
      readonly role: Role;
      readonly at: number;
    }
  | {
      readonly type: 'update';
      readonly name?: string | undefined;
      readonly email?: string | undefined;
      readonly role?: Role | undefined;
      readonly at: number;
    }
  | { readonly type: 'delete'; readonly obligations: Obligations; readonly at: number };

export type UserEvent =
  | {
      readonly type: 'user.created';
      readonly id: string;
      readonly name: string;
      readonly email: string;
      readonly role: Role;
      readonly at: number;
    }
  | {
      readonly type: 'user.updated';
      readonly name: string;
      readonly email: string;
      readonly role: Role;
      readonly verified: boolean;
      readonly at: number;
    }
  | { readonly type: 'user.deleted'; readonly at: number };

/**
 * The events a command leads to.
 * @throws AppError NOT_FOUND, CONFLICT
 */
export function decide(state: UserState | null, command: UserCommand): UserEvent[] {
  if (command.type === 'create') {
    if (state !== null) throw new AppError('CONFLICT', `User ${command.id} exists already.`, { field: 'id' });
    return [{ ...command, type: 'user.created' }];
  }
  if (state === null || state.deleted) throw new AppError('NOT_FOUND', 'There is no such user.', { field: 'id' });

  switch (command.type) {
    case 'update': {
      const { name = state.name, email = state.email, role = state.role, at } = command;
      if (name === state.name && email === state.email && role === state.role) return [];
      // A new address has not been confirmed by anyone yet.
      const verified = state.verified && email === state.email;
      return [{ type: 'user.updated', name, email, role, verified, at }];
    }
    case 'delete': {
      const { openOrders, accountsWithMoney } = command.obligations;
      if (openOrders > 0) throw inUse(`This user has ${openOrders} open orders; finish or cancel them first.`);
      if (accountsWithMoney > 0) throw inUse('This user still has money in an account; transfer it first.');
      return [{ type: 'user.deleted', at: command.at }];
    }
    default:
      return assertNever(command);
  }
}

const inUse = (message: string): AppError => new AppError('CONFLICT', message, { field: 'id' });

/** The user after an event; its version rises by one. */
export function evolve(state: UserState | null, event: UserEvent): UserState {
  if (event.type === 'user.created') {
    const { id, name, email, role, at } = event;
    return { id, version: 1, name, email, role, verified: false, deleted: false, createdAt: at, updatedAt: at };
  }
  if (state === null) throw new Error(`${event.type} of a user who was never created`);
  const next = { ...state, version: state.version + 1, updatedAt: event.at };

  switch (event.type) {
    case 'user.updated': {
      const { name, email, role, verified } = event;
      return { ...next, name, email, role, verified };
    }
    case 'user.deleted':
      return { ...next, name: '', email: '', verified: false, deleted: true };
    default:
      return assertNever(event);
  }
}
