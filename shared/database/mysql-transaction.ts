import type { Connection } from 'mysql2';
import { Interrupted, isOfServer } from './mysql-errors.js';
import { countIn, rowsIn, send, statement, type Answer, type Statement } from './mysql-statements.js';
import type { DeferredWrites, InsertRow, Row, SqlValue, Transaction } from './port.js';
import { columnsOf, insertNewSql, insertSql, lockChunks, lockSql, upsertSql, valuesOf } from './sql.js';

/** Most text in one INSERT, in characters: far below what servers take in one packet (16 MB on MariaDB, 64 MB on MySQL). */
const CHUNK_CHARACTERS = 1_000_000;

/** A statement on its way, and whoever waits for its answer; nobody does for a deferred one. */
interface Pending {
  readonly statement: Statement;
  readonly waiter?: { readonly resolve: (answer: Answer) => void; readonly reject: (error: unknown) => void };
}

/** The answer to COMMIT stayed away, or was none: it may or may not be done. */
export class CommitUnknown extends Error {
  override readonly name = 'CommitUnknown';
}

const COMMIT: Statement = { sql: 'COMMIT', text: 'COMMIT' };

/**
 * A transaction on a connection for transactions that nobody else uses: its first statement begins it. Committed here,
 * rolled back by MysqlDatabase.
 *
 * Statements that are asked for in one turn of the event loop travel in one packet, deferred ones with whatever follows:
 * on a machine that is busy a round trip costs more than most statements. What shares a packet shares its fate: after an
 * error the transaction can only be rolled back, while an error of a statement that travelled alone is its caller's.
 */
export class MysqlTransaction implements Transaction {
  readonly callbacks: (() => void)[] = [];
  readonly deferred: DeferredWrites = {
    insert: (table, rows) => this.defer(rows, (columns, count) => insertSql('mysql', table, columns, count)),
    upsert: (table, key, rows) => this.defer(rows, (columns, count) => upsertSql('mysql', table, key, columns, count)),
    execute: (sql, params) => this.add({ statement: statement(this.connection, sql, params) }),
  };
  private open = true;
  /** What has still to be sent, and what is under way: one packet at a time. */
  private pending: Pending[] = [];
  private sending: Promise<void> = Promise.resolve();
  private leaving = false;
  private savepoints = 0;
  /** Whether the server has answered anything since the transaction began. */
  private heard = false;
  /** Why nothing of this can be committed any more. */
  private doom: { readonly error: unknown } | undefined;

  constructor(private readonly connection: Connection) {
    connection.on('error', this.lose);
  }

  /** Why the engine gave up on the transaction, if it did. */
  get failure(): Interrupted | undefined {
    return this.doom?.error instanceof Interrupted ? this.doom.error : undefined;
  }

  async query<R = Row>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return rowsIn(await this.ask(statement(this.connection, sql, params))) as R[];
  }

  async execute(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return countIn(await this.ask(statement(this.connection, sql, params)), sql);
  }

  async insert(table: string, rows: readonly InsertRow[]): Promise<void> {
    await this.write(rows, (columns, count) => insertSql('mysql', table, columns, count));
  }

  async upsert(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<void> {
    await this.write(rows, (columns, count) => upsertSql('mysql', table, key, columns, count));
  }

  /** ON DUPLICATE KEY UPDATE locks the rows it meets, and does not count those that it leaves as they are. */
  async insertNew(table: string, key: readonly string[], rows: readonly InsertRow[]): Promise<number> {
    return this.write(rows, (columns, count) => insertNewSql('mysql', table, key, columns, count));
  }

  async lock<R = Row>(table: string, column: string, ids: readonly (string | number)[]): Promise<R[]> {
    const rows: R[] = [];
    for (const chunk of lockChunks(ids)) {
      rows.push(...(await this.query<R>(lockSql('mysql', table, column, chunk.length), chunk)));
    }
    return rows;
  }

  async tryLock<R = Row>(table: string, column: string, ids: readonly (string | number)[], most: number): Promise<R[]> {
    const rows: R[] = [];
    for (const chunk of lockChunks(ids)) {
      const left = most - rows.length;
      if (left <= 0) break;
      rows.push(...(await this.query<R>(lockSql('mysql', table, column, chunk.length, left), chunk)));
    }
    return rows;
  }

  afterCommit(callback: () => void): void {
    this.assertOpen();
    this.callbacks.push(callback);
  }

  /**
   * Commits; no statement after this. Throws if the engine gave up on the transaction or a deferred write failed, also
   * where `work` swallowed that: it is then to be rolled back.
   * @throws CommitUnknown
   */
  async commit(): Promise<void> {
    this.close();
    await this.sending;
    const packets = packetsOf(this.take());
    // Nothing was asked of the server, so it knows of no transaction.
    if (!this.heard && packets.length === 0 && this.doom === undefined) return;
    // With the first packet of a transaction one learns that the connection was dead before, and nothing is done; not if
    // it holds the COMMIT too.
    const last = this.heard ? packets.pop() : undefined;
    for (const packet of packets) await this.sendPacket(packet);
    this.assertSound();
    const writes = (last ?? []).map((one) => one.statement);
    let answers = 0;
    try {
      await send(this.connection, [...writes, COMMIT], { onAnswer: () => answers++ });
    } catch (error) {
      // What the server itself says of a write, it says before COMMIT.
      if (answers >= writes.length || !isOfServer(error)) {
        const cause = error instanceof Interrupted ? error.cause : error;
        throw new CommitUnknown('No answer to COMMIT: it may or may not be done.', { cause });
      }
      this.doom ??= { error };
      throw error;
    }
  }

  /** Sends nothing more. Resolves when nothing is under way: what comes then on this connection is not of this transaction. */
  async abandon(): Promise<void> {
    this.close();
    this.doom ??= { error: new Error('This transaction is over.') };
    await this.flush();
    await this.sending;
  }

  private close(): void {
    this.open = false;
    this.connection.off('error', this.lose);
  }

  /** The connection went while nothing was asked of it: a COMMIT will not even be sent. */
  private readonly lose = (error: unknown): void => {
    this.doom ??= { error: new Interrupted(error, true, true) };
  };

  /** One statement is all or nothing by itself; several are within a savepoint, for a caller that goes on after an error. */
  private async write(rows: readonly InsertRow[], text: Text): Promise<number> {
    const [first, ...others] = this.writesOf(rows, text);
    if (first === undefined) return 0;
    const insert = async (one: Statement): Promise<number> => countIn(await this.ask(one), one.sql);
    if (others.length === 0) return insert(first);
    const savepoint = `rows_written_${(this.savepoints += 1)}`;
    await this.execute(`SAVEPOINT ${savepoint}`);
    let changed = 0;
    try {
      for (const one of [first, ...others]) changed += await insert(one);
    } catch (error) {
      if (this.doom === undefined) await this.execute(`ROLLBACK TO SAVEPOINT ${savepoint}`);
      throw error;
    }
    await this.execute(`RELEASE SAVEPOINT ${savepoint}`);
    return changed;
  }

  private defer(rows: readonly InsertRow[], text: Text): void {
    for (const one of this.writesOf(rows, text)) this.add({ statement: one });
  }

  /** Statements that write these rows, none of them too long for a packet. */
  private writesOf(rows: readonly InsertRow[], text: Text): Statement[] {
    if (rows.length === 0) return [];
    const columns = columnsOf(rows);
    const values = rows.map((row) => valuesOf(row, columns));
    return parts(values, sizeOf).map((chunk) => statement(this.connection, text(columns, chunk.length), chunk.flat()));
  }

  private ask(one: Statement): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.add({ statement: one, waiter: { resolve, reject } });
      if (this.leaving) return;
      this.leaving = true;
      // When this turn is over, and behind what is under way.
      this.sending = this.sending.then(() => {
        this.leaving = false;
        return this.flush();
      });
    });
  }

  private add(pending: Pending): void {
    this.assertOpen();
    this.pending.push(pending);
  }

  private take(): Pending[] {
    const { pending } = this;
    this.pending = [];
    return pending;
  }

  /** Never rejects: those who wait hear of it, and whoever commits. */
  private async flush(): Promise<void> {
    for (const packet of packetsOf(this.take())) await this.sendPacket(packet);
  }

  /** Never rejects. */
  private async sendPacket(packet: readonly Pending[]): Promise<void> {
    try {
      this.assertSound();
      const answers = await send(
        this.connection,
        packet.map((one) => one.statement),
      );
      this.heard = true;
      packet.forEach(({ waiter }, index) => waiter?.resolve(answers[index] as Answer));
    } catch (error) {
      // An error is an answer, too: a transaction has begun.
      if (isOfServer(error)) this.heard = true;
      // After a deadlock MySQL has rolled back, after a lost connection too, and what `work` does next would be committed
      // on its own.
      const alone = packet.length === 1 && packet[0]?.waiter !== undefined;
      if (!alone || error instanceof Interrupted) this.doom ??= { error };
      for (const { waiter } of packet) waiter?.reject(error);
    }
  }

  private assertOpen(): void {
    if (!this.open) throw new Error('This transaction is over: a statement was not awaited inside it.');
    this.assertSound();
  }

  private assertSound(): void {
    if (this.doom !== undefined) throw this.doom.error;
  }
}

type Text = (columns: readonly string[], count: number) => string;

/** Cuts a list into parts of so many characters, each as long as that allows and with one item at least. */
function parts<T>(items: readonly T[], sizeOfOne: (item: T) => number): T[][] {
  const all: T[][] = [];
  let room = 0;
  for (const item of items) {
    const size = sizeOfOne(item);
    if (all.length === 0 || size > room) {
      all.push([]);
      room = CHUNK_CHARACTERS;
    }
    all[all.length - 1]?.push(item);
    room -= size;
  }
  return all;
}

/** Statements in their order, as many together as a packet may hold. */
const packetsOf = (pending: readonly Pending[]): Pending[][] => parts(pending, (one) => one.statement.text.length);

/** Characters of values in a statement: numbers, quotes and commas; what has to be escaped doubles at worst. */
function sizeOf(values: readonly SqlValue[]): number {
  let size = 0;
  for (const value of values) size += typeof value === 'string' ? 4 + value.length : 20;
  return size;
}
