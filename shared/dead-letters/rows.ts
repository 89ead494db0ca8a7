import { placeholders, type Database, type Transaction } from '../database/port.js';
import { lockChunks } from '../database/sql.js';
import type { StoredRecord } from '../event-log/port.js';
import { isPrepared } from '../outbox/status.js';
import type { ParkedRow } from '../reactions/parked.js';
import { recordHead, type Letter, type LetterSource, type LetterState, type Surroundings } from './letter.js';

/** Rows read at once: payloads have up to a megabyte. */
const PAGE = 100;

const STATES: Readonly<Record<LetterState, string>> = {
  dead: "state = 'DEAD'",
  waiting: "state = 'WAITING'",
  all: '1 = 1',
};

export interface RowLettersOptions {
  /** The subgraph: `order`. */
  readonly name: string;
  /** Asked for when first needed, so that a database that is away does not keep people from the others. */
  readonly open: () => Promise<Database>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * The dead letters of a subgraph's reactions: rows of its table `parked`. A row's id is the letter's; rows of one key have
 * ids in the order of the log. A letter that is sent back begins the ladder of attempts anew, due at once; the retrier of
 * a running worker finds it. Its effect is made once whatever happens, since the inbox row is written with it.
 */
export class RowLetters implements LetterSource {
  readonly name: string;

  constructor(private readonly options: RowLettersOptions) {
    this.name = options.name;
  }

  owns(id: string): boolean {
    const [name, row] = id.split(':');
    return name === this.name && /^[1-9]\d{0,15}$/.test(row ?? '') && id.split(':').length === 2;
  }

  async *letters(state: LetterState): AsyncGenerator<Letter> {
    const database = await this.options.open();
    if (!(await isPrepared(database))) return;
    for (let last = 0; ;) {
      const rows = await database.read<ParkedRow>(
        `SELECT * FROM parked WHERE id > ? AND ${STATES[state]} ORDER BY id LIMIT ${PAGE}`,
        [last],
      );
      for (const row of rows) yield this.letter(row);
      last = rows.at(-1)?.id ?? last;
      if (rows.length < PAGE) return;
    }
  }

  async find(ids: readonly string[]): Promise<readonly Letter[]> {
    const database = await this.options.open();
    if (ids.length === 0 || !(await isPrepared(database))) return [];
    const found: Letter[] = [];
    for (const chunk of lockChunks(ids.map(rowOf), 128)) {
      const sql = `SELECT * FROM parked WHERE id IN (${placeholders(chunk.length)}) ORDER BY id`;
      for (const row of await database.read<ParkedRow>(sql, chunk)) found.push(this.letter(row));
    }
    return found;
  }

  async redrive(ids: readonly string[]): Promise<number> {
    return this.change(ids, (tx, rows) =>
      tx.execute(
        `UPDATE parked SET state = 'WAITING', attempt = 0, due_at = ? WHERE id IN (${placeholders(rows.length)})`,
        [this.options.now(), ...rows.map(({ id }) => id)],
      ),
    );
  }

  async drop(ids: readonly string[]): Promise<number> {
    return this.change(ids, async (tx, rows) => {
      // The row kept copies that the log still brings away from the handler; from now on the inbox does.
      const processed_at = this.options.now();
      await tx.insertNew(
        'processed_events',
        ['consumer', 'event_id'],
        rows.map(({ consumer, event_id }) => ({ consumer, event_id, processed_at })),
      );
      return tx.execute(
        `DELETE FROM parked WHERE id IN (${placeholders(rows.length)})`,
        rows.map(({ id }) => id),
      );
    });
  }

  async surroundings({ id }: Letter): Promise<Surroundings> {
    const database = await this.options.open();
    const [row] = await database.read<ParkedRow>('SELECT * FROM parked WHERE id = ?', [rowOf(id)]);
    if (row === undefined) return { handled: false, deadBefore: 0, deadAfter: 0, waiting: 0 };
    const inbox = await database.read('SELECT 1 AS found FROM processed_events WHERE consumer = ? AND event_id = ?', [
      row.consumer,
      row.event_id,
    ]);
    // Without a key it queues behind nobody.
    const others = await database.read<Pick<ParkedRow, 'id' | 'state'>>(
      'SELECT id, state FROM parked WHERE consumer = ? AND record_key = ? AND id <> ?',
      [row.consumer, row.record_key, row.id],
    );
    const dead = others.filter(({ state }) => state === 'DEAD');
    return {
      handled: inbox.length > 0,
      deadBefore: dead.filter((other) => other.id < row.id).length,
      deadAfter: dead.filter((other) => other.id > row.id).length,
      waiting: others.length - dead.length,
    };
  }

  /** Does something to those of the rows that are dead, holding them. */
  private async change(
    ids: readonly string[],
    work: (tx: Transaction, rows: readonly ParkedRow[]) => Promise<number>,
  ): Promise<number> {
    const database = await this.options.open();
    if (ids.length === 0 || !(await isPrepared(database))) return 0;
    return database.transaction(async (tx) => {
      const held = await tx.lock<ParkedRow>('parked', 'id', ids.map(rowOf));
      const dead = held.filter(({ state }) => state === 'DEAD');
      return dead.length === 0 ? 0 : work(tx, dead);
    });
  }

  private letter(row: ParkedRow): Letter {
    const record = JSON.parse(row.message) as StoredRecord;
    const dead = row.state === 'DEAD';
    return {
      id: `${this.name}:${row.id}`,
      consumer: row.consumer,
      state: row.state,
      attempts: row.attempt,
      error: row.error,
      // The moment of the last attempt stays in `due_at`.
      since: dead ? row.due_at : row.created_at,
      dueAt: dead ? null : row.due_at,
      ...recordHead(record),
      record,
    };
  }
}

const rowOf = (id: string): number => Number(id.split(':')[1]);
