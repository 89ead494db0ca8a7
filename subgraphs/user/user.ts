import { AppError, assertNever } from '../../shared/errors/errors.js';
import type { Locale, Role, UserState } from '../../shared/events/states.js';
import { emailKey } from '../../shared/validation/text.js';

export type { Locale, Role, UserState } from '../../shared/events/states.js';

/** What still ties a user to us, as far as the events of others have told. */
export interface Obligations {
  readonly openOrders: number;
  readonly accountsWithMoney: number;
}

/** A way to confirm the address that the user has at that moment, good for a while. */
export interface Verification {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What may be asked of a user. Ids and instants come in as data. */
export type UserCommand =
  | {
      readonly type: 'create';
      readonly id: string;
      readonly name: string;
      readonly email: string;
      readonly role: Role;
      readonly locale: Locale;
      readonly at: number;
      /** Left out where nobody is to be written to. */
      readonly verification?: Verification;
    }
  | {
      readonly type: 'update';
      readonly name?: string | undefined;
      readonly email?: string | undefined;
      readonly role?: Role | undefined;
      readonly locale?: Locale | undefined;
      readonly at: number;
      /** Taken when the address is another one, not just spelled otherwise: nobody has confirmed it yet. */
      readonly verification: Verification;
    }
  | { readonly type: 'requestVerification'; readonly verification: Verification; readonly at: number }
  | { readonly type: 'verify'; readonly at: number }
  | { readonly type: 'delete'; readonly obligations: Obligations; readonly at: number };

export type UserEvent =
  | {
      readonly type: 'user.created';
      readonly id: string;
      readonly name: string;
      readonly email: string;
      readonly role: Role;
      readonly locale: Locale;
      readonly at: number;
    }
  | {
      readonly type: 'user.updated';
      readonly name: string;
      readonly email: string;
      readonly role: Role;
      readonly locale: Locale;
      readonly verified: boolean;
      readonly at: number;
    }
  | { readonly type: 'user.verification_requested'; readonly verification: Verification; readonly at: number }
  | { readonly type: 'user.deleted'; readonly at: number };

/**
 * The events a command leads to.
 * @throws AppError NOT_FOUND, CONFLICT
 */
export function decide(state: UserState | null, command: UserCommand): UserEvent[] {
  if (command.type === 'create') {
    if (state !== null) throw new AppError('CONFLICT', `User ${command.id} exists already.`, { field: 'id' });
    const { type: _, verification, ...created } = command;
    const events: UserEvent[] = [{ ...created, type: 'user.created' }];
    return verification === undefined ? events : [...events, requested(verification, command.at)];
  }
  if (state === null || state.deleted) throw new AppError('NOT_FOUND', 'There is no such user.', { field: 'id' });

  const { name, email, role, locale, verified } = state;
  switch (command.type) {
    case 'update': {
      const wanted = {
        name: command.name ?? name,
        email: command.email ?? email,
        role: command.role ?? role,
        locale: command.locale ?? locale,
      };
      const { at, verification } = command;
      if (emailKey(wanted.email) !== emailKey(email)) {
        return [{ type: 'user.updated', ...wanted, verified: false, at }, requested(verification, at)];
      }
      const same = wanted.name === name && wanted.email === email && wanted.role === role && wanted.locale === locale;
      if (same) return [];
      return [{ type: 'user.updated', ...wanted, verified, at }];
    }
    case 'requestVerification':
      return verified ? [] : [requested(command.verification, command.at)];
    case 'verify':
      return verified ? [] : [{ type: 'user.updated', name, email, role, locale, verified: true, at: command.at }];
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

const requested = (verification: Verification, at: number): UserEvent => ({
  type: 'user.verification_requested',
  verification,
  at,
});

const inUse = (message: string): AppError => new AppError('CONFLICT', message, { field: 'id' });

/** The user after an event; its version rises by one. */
export function evolve(state: UserState | null, event: UserEvent): UserState {
  if (event.type === 'user.created') {
    const { type: _, at, ...created } = event;
    return { ...created, version: 1, verified: false, deleted: false, createdAt: at, updatedAt: at };
  }
  if (state === null) throw new Error(`${event.type} of a user who was never created`);
  const next = { ...state, version: state.version + 1, updatedAt: event.at };

  switch (event.type) {
    case 'user.updated': {
      const { name, email, role, locale, verified } = event;
      return { ...next, name, email, role, locale, verified };
    }
    case 'user.verification_requested':
      return next;
    case 'user.deleted':
      return { ...next, name: '', email: '', verified: false, deleted: true };
    default:
      return assertNever(event);
  }
}

/** The events of several commands, each decided upon the user as the ones before leave it. @throws AppError as `decide` */
export function decideAll(state: UserState | null, commands: readonly UserCommand[]): UserEvent[] {
  let now = state;
  return commands.flatMap((command) => {
    const events = decide(now, command);
    now = events.reduce(evolve, now);
    return events;
  });
}
