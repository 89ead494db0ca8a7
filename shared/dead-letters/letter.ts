import type { StoredRecord } from '../event-log/port.js';

/** The collection in which the projector keeps the records that it could not take. */
export const PARKED = 'parked';

/** A record that the projector could not take. */
export interface ParkedDoc {
  readonly consumer: string;
  /** WAITING once it has been sent back: the projector tries it again within seconds, and removes it if that works. */
  readonly state: 'DEAD' | 'WAITING';
  readonly error: string;
  readonly attempts: number;
  /** Milliseconds since the epoch, when it was given up. */
  readonly at: number;
  readonly record: StoredRecord;
}

/** What can be told of a dead letter without its payload, which may hold personal data. */
export interface LetterHead {
  /** How people name it: `order:42` is a row of the order database, `query.views:orders:3:17` a document. */
  readonly id: string;
  /** The one consumer that failed. */
  readonly consumer: string;
  readonly state: 'DEAD' | 'WAITING';
  /** Since it was parked or last sent back; 0 while it only queues. */
  readonly attempts: number;
  /** Of the last attempt, in one line; null if there was none. */
  readonly error: string | null;
  /** Milliseconds since the epoch: when it died, or was parked if it waits. */
  readonly since: number;
  /** Milliseconds since the epoch of the next attempt; null if there is none, or if it is not known. */
  readonly dueAt: number | null;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  /** Null where the record does not say. */
  readonly type: string | null;
  readonly eventId: string | null;
}

export interface Letter extends LetterHead {
  readonly record: StoredRecord;
}

/** What a record says of itself, for the head of its letter. */
export function recordHead({ topic, partition, offset, key, headers }: StoredRecord) {
  return { topic, partition, offset, key, type: headers['ce_type'] ?? null, eventId: headers['ce_id'] ?? null };
}

/** The letter without its payload. */
export function headOf({ record: _, ...head }: Letter): LetterHead {
  return head;
}

export type LetterState = 'dead' | 'waiting' | 'all';

/** Which letters are meant; every condition must hold. */
export interface Selection {
  readonly state: LetterState;
  readonly consumer?: string | undefined;
  readonly topic?: string | undefined;
  readonly type?: string | undefined;
  readonly key?: string | undefined;
  /** A part of the error's text; case does not count. */
  readonly error?: string | undefined;
  /** Milliseconds since it died, or was parked. */
  readonly olderThanMs?: number | undefined;
  readonly newerThanMs?: number | undefined;
}

/** Whether the letter is meant, `now` being milliseconds since the epoch. */
export function isSelected(letter: LetterHead, selection: Selection, now: number): boolean {
  const { state, consumer, topic, type, key, error, olderThanMs, newerThanMs } = selection;
  const age = now - letter.since;
  return (
    (state === 'all' || letter.state === (state === 'dead' ? 'DEAD' : 'WAITING')) &&
    (consumer === undefined || letter.consumer === consumer) &&
    (topic === undefined || letter.topic === topic) &&
    (type === undefined || letter.type === type) &&
    (key === undefined || letter.key === key) &&
    (error === undefined || (letter.error ?? '').toLowerCase().includes(error.toLowerCase())) &&
    (olderThanMs === undefined || age > olderThanMs) &&
    (newerThanMs === undefined || age < newerThanMs)
  );
}

/** What stands around a letter in its key: the answer to "what will a redrive do". */
export interface Surroundings {
  /** Its effect is there already, in the inbox: a redrive only removes it. */
  readonly handled: boolean;
  /** Other dead letters of the consumer and key, by the order of the log. */
  readonly deadBefore: number;
  readonly deadAfter: number;
  /** Letters of the key that wait; they have to let it go first. */
  readonly waiting: number;
}

/** Where letters are kept. Engines that are away reject with `EngineUnavailable`. */
export interface LetterSource {
  /** `order`, `query`: for people. */
  readonly name: string;
  /** Whether an id is of this source's kind, whether there is such a letter or not. */
  owns(id: string): boolean;
  /** Those of a state; letters of one key in the order of the log. */
  letters(state: LetterState): AsyncIterable<Letter>;
  /** Those that are there, in the order of `letters`. */
  find(ids: readonly string[]): Promise<readonly Letter[]>;
  /**
   * Sends dead letters back to the consumer that failed: one transaction, in which ids that are not dead (any more) change
   * nothing. Answers how many were dead.
   */
  redrive(ids: readonly string[]): Promise<number>;
  /** Removes dead letters for good, in the same way. */
  drop(ids: readonly string[]): Promise<number>;
  /** Null where the order of letters does not matter. */
  surroundings(letter: Letter): Promise<Surroundings | null>;
}
