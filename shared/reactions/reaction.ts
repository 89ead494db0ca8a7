import type { Transaction } from '../database/port.js';
import type { EventType, Topic } from '../events/catalogue.js';
import type { StoredRecord } from '../event-log/port.js';
import type { Event } from '../events/event.js';

/** What a service does when others publish something. */
export interface Reaction<T extends EventType = EventType> {
  /** Consumer group and inbox name. Permanent: a new name would react to all of history again. */
  readonly consumer: string;
  readonly topics: readonly Topic[];
  /** Other types on these topics are passed over. */
  readonly types: readonly T[];
  /**
   * How long events may wait for one another while they keep coming, in milliseconds, so that many share a transaction; 5
   * when absent. More where nobody waits for the effect. After a silence nothing waits.
   */
  readonly paceMs?: number;
  /**
   * The effect of a batch, in one transaction with its inbox rows, so that it happens once however often the events come.
   * Events of a key are in its order, each at most once ever per consumer; but an aggregate's older event may come after a
   * newer one was handled. Collect every row the batch needs, lock each table once in id order, decide in memory, write
   * multi-row. A throw rolls back; the events are then handled in halves, and one that fails alone is parked and retried
   * after 1, 2, 4, 8 and 16 s, later events of its key waiting behind it. `records` are what the events were read from,
   * in the same order: for whoever may have to send one to the dead letters later.
   */
  handle(tx: Transaction, events: readonly EventOf<T>[], records: readonly StoredRecord[]): Promise<void>;
}

/** A union by `type`, so that a switch narrows `data`. */
export type EventOf<T extends EventType> = { [K in T]: Event<K> }[T];

/** Keeps the literal types of a reaction. */
export const reaction = <T extends EventType>(definition: Reaction<T>): Reaction<T> => definition;
