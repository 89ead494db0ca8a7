/** What the contract cannot say: connections that die, servers that refuse, and what MySQL does in its own way. */
import { randomUUID } from 'node:crypto';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import mysql from 'mysql2/promise';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { until } from '../../tests/until.js';
import { EngineUnavailable } from '../errors/errors.js';
import { columnsFor, createTable } from './columns.js';
import { lockName } from './mysql-lock.js';
import { openMysqlDatabase, type MysqlDatabaseOptions } from './mysql.js';
import type { Database, Transaction } from './port.js';
import { mysqlDatabases, mysqlUrl } from './testing.js';

class Rows1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(runner, 'counts', [c.id('id'), c.integer('n')], { primaryKey: ['id'] });
  }

  async down(): Promise<void> {
    // Never undone.
  }
}

const namespace = `faults-${randomUUID().slice(0, 8)}`;
const name = 'tributary_faults';
const databaseName = `${namespace}_${name}`.replaceAll('-', '_');
const url = mysqlUrl();
let admin: mysql.Connection;
const opened: Database[] = [];

async function open(options: Partial<MysqlDatabaseOptions> = {}): Promise<Database> {
  const database = await openMysqlDatabase({ url, namespace, name, migrations: [Rows1700000000000], ...options });
  opened.push(database);
  return database;
}

beforeAll(async () => {
  admin = await mysql.createConnection(url);
  await (await open()).migrate();
});
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close();
});
afterAll(async () => {
  await mysqlDatabases(namespace.replaceAll('-', '_')).dispose();
  await admin.end();
});

async function row(database: Database): Promise<string> {
  const id = randomUUID();
  await database.transaction((tx) => tx.insert('counts', [{ id, n: 0 }]));
  return id;
}
const countOf = async (database: Database, id: string): Promise<unknown> =>
  (await database.read('SELECT n FROM counts WHERE id = ?', [id]))[0]?.['n'];
const raise = (tx: Transaction, id: string): Promise<number> =>
  tx.execute('UPDATE counts SET n = n + 1 WHERE id = ?', [id]);
const idOf = async (tx: Transaction): Promise<number> =>
  (await tx.query<{ id: number }>('SELECT CONNECTION_ID() AS id'))[0]?.id ?? 0;
const kill = async (id: number): Promise<unknown> => admin.query(`KILL ${id}`);

/** The connections of this file's database, as the server sees them. */
async function connections(): Promise<number[]> {
  const sql = 'SELECT id FROM information_schema.processlist WHERE db = ?';
  const [rows] = await admin.query<mysql.RowDataPacket[]>(sql, [databaseName]);
  return rows.map((one) => Number(one['id'] ?? one['ID']));
}

const causeOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(EngineUnavailable);
  return String((error as Error).cause);
};

describe('a transaction', () => {
  test('a process that is frozen in a transaction holds its rows for seconds, and finds its work undone', async () => {
    const [frozen, other] = [await open(), await open()];
    const id = await row(other);
    let thaw = (): void => undefined;
    const ice = new Promise<void>((melt) => (thaw = melt));
    let attempts = 0;
    const work = frozen.transaction(async (tx) => {
      await raise(tx, id);
      // Whoever is frozen says nothing to the server.
      if (attempts++ === 0) await ice;
    });
    await until(() => attempts > 0);
    await other.transaction((tx) => raise(tx, id));
    expect(await countOf(other, id)).toBe(1);
    thaw();
    await work;
    expect(attempts).toBe(2);
    expect(await countOf(other, id)).toBe(2);
  }, 60_000);

  test('whose connection dies is begun again and has its effect once', async () => {
    const database = await open();
    const id = await row(database);
    const runs: number[] = [];
    await database.transaction(async (tx) => {
      runs.push(await idOf(tx));
      await raise(tx, id);
      if (runs.length === 1) await kill(runs[0] ?? 0);
      await raise(tx, id);
    });
    expect(new Set(runs).size).toBe(2);
    expect(await countOf(database, id)).toBe(2);
  });

  test('that goes on after a deadlock commits nothing of it, and is begun again', async () => {
    const database = await open();
    const [a, b] = [await row(database), await row(database)];
    let deadlocks = 0;
    const crosswise = async (first: string, second: string): Promise<void> => {
      let run = 0;
      await database.transaction(async (tx) => {
        const attempt = ++run;
        await raise(tx, first);
        // Both hold their first row before either asks for its second.
        if (attempt === 1) await meet();
        await raise(tx, second).catch(() => deadlocks++);
        await raise(tx, first).catch(() => undefined);
      });
    };
    let here = 0;
    const meet = async (): Promise<void> => {
      here++;
      await until(() => here === 2);
    };
    await Promise.all([crosswise(a, b), crosswise(b, a)]);
    expect(deadlocks).toBeGreaterThan(0);
    expect([await countOf(database, a), await countOf(database, b)]).toEqual([3, 3]);
  });

  test('whose connection was dead before its first statement is begun again, also where all of it is deferred', async () => {
    const database = await open({ poolSize: 2 });
    const id = await row(database);
    const [session] = await database.transaction((tx) => tx.query<{ id: number }>('SELECT CONNECTION_ID() AS id'));
    let runs = 0;
    await database.transaction(async (tx) => {
      runs++;
      if (runs === 1) await kill(session?.id ?? 0);
      tx.deferred.execute('UPDATE counts SET n = n + 1 WHERE id = ?', [id]);
    });
    expect([runs, await countOf(database, id)]).toEqual([2, 1]);
  });

  test('whose deferred writes end in a deadlock is begun again, since its COMMIT was not reached', async () => {
    const database = await open();
    const [a, b] = [await row(database), await row(database)];
    let runs = 0;
    const crosswise = (first: string, second: string): Promise<void> =>
      database.transaction(async (tx) => {
        runs++;
        await raise(tx, first);
        // Both hold their first row before either asks for its second.
        await until(() => runs >= 2);
        tx.deferred.execute('UPDATE counts SET n = n + 1 WHERE id = ?', [second]);
      });
    await Promise.all([crosswise(a, b), crosswise(b, a)]);
    expect(runs).toBeGreaterThan(2);
    expect([await countOf(database, a), await countOf(database, b)]).toEqual([2, 2]);
  });

  test.each(['alone', 'behind deferred writes'])(
    'is not repeated when COMMIT stays without an answer: %s',
    async (how) => {
      const direct = await open();
      for (const reaches of [true, false]) {
        const proxy = await cutAtCommit(reaches);
        const database = await open({ url: proxy.url });
        const id = await row(direct);
        let runs = 0;
        const attempt = database.transaction(async (tx) => {
          runs++;
          proxy.arm();
          await raise(tx, id);
          if (how !== 'alone') tx.deferred.execute('UPDATE counts SET n = n * 1 WHERE id = ?', [id]);
        });
        expect(await causeOf(attempt)).toMatch('No answer to COMMIT');
        expect(runs).toBe(1);
        if (reaches) await until(async () => (await countOf(direct, id)) === 1);
        else expect(await countOf(direct, id)).toBe(0);
        await database.close();
        await proxy.close();
      }
    },
  );

  test('finds a connection for a read beside it, also when all others want the same', async () => {
    const database = await open({ poolSize: 3 });
    const ids = await Promise.all(Array.from({ length: 12 }, () => row(database)));
    await Promise.all(
      ids.map((id) =>
        database.transaction(async (tx) => {
          await raise(tx, id);
          expect(await countOf(database, id)).toBe(0);
        }),
      ),
    );
    expect(await Promise.all(ids.map((id) => countOf(database, id)))).toEqual(ids.map(() => 1));
  });
});

test('connections that the server dropped while nobody used them are nobody`s error', async () => {
  const database = await open();
  const id = await row(database);
  for (const use of [() => countOf(database, id), () => database.transaction((tx) => raise(tx, id))]) {
    const sleep = 'SELECT SLEEP(0.05) AS slept';
    await Promise.all(
      Array.from({ length: 8 }, () => [database.read(sleep), database.transaction((tx) => tx.query(sleep))]).flat(),
    );
    const before = await connections();
    // Of both kinds: for single statements and for transactions.
    expect(before.length).toBeGreaterThan(8);
    await Promise.all(before.map((one) => kill(one).catch(() => undefined)));
    await use();
  }
  expect(await countOf(database, id)).toBe(1);
});

test('an error shows the statement, and none of the values in it', async () => {
  const database = await open();
  const secret = 'a secret '.repeat(5);
  const error = await database
    .transaction((tx) => tx.insert('counts', [{ id: secret, n: 0 }]))
    .catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'ER_DATA_TOO_LONG', sql: 'INSERT INTO `counts` (`id`, `n`) VALUES (?, ?)' });
  expect(inspect(error)).not.toContain('secret');
});

test('a sum beyond what a number holds throws instead of being nearly right', async () => {
  const database = await open();
  await database.transaction((tx) =>
    tx.insert(
      'counts',
      [0, 1].map(() => ({ id: randomUUID(), n: Number.MAX_SAFE_INTEGER })),
    ),
  );
  await expect(database.read('SELECT SUM(n) AS total FROM counts')).rejects.toThrow(RangeError);
  await expect(database.read('SELECT MAX(n) + 5 AS top FROM counts')).rejects.toThrow(RangeError);
  await expect(database.read('SELECT AVG(1.5) AS mean')).resolves.toEqual([{ mean: 1.5 }]);
});

test('sessions are READ COMMITTED, strict and in UTC, whatever the server prefers', async () => {
  const database = await open();
  const settings = 'SELECT @@SESSION.sql_mode AS mode, @@SESSION.time_zone AS zone';
  const [session] = await database.read<{ mode: string; zone: string }>(settings);
  expect(session?.mode).toMatch('STRICT_TRANS_TABLES');
  expect(session?.mode).not.toMatch('NO_BACKSLASH_ESCAPES');
  expect(session?.zone).toBe('+00:00');
  const id = await row(database);
  await database.transaction(async (tx) => {
    expect(await tx.query('SELECT n FROM counts WHERE id = ?', [id])).toEqual([{ n: 0 }]);
    await database.transaction((other) => raise(other, id));
    expect(await tx.query('SELECT n FROM counts WHERE id = ?', [id])).toEqual([{ n: 1 }]);
  });
});

describe('a named lock', () => {
  test('reads what is committed, when it is, whatever the server prefers', async () => {
    const database = await open();
    const id = await row(database);
    const lock = await database.tryLock('reader');
    const settings = 'SELECT @@SESSION.transaction_isolation AS level, @@SESSION.autocommit AS own';
    expect(await lock?.read(settings)).toEqual([{ level: 'READ-COMMITTED', own: 1 }]);
    const look = (): Promise<unknown> => lock?.read('SELECT n FROM counts WHERE id = ?', [id]) ?? Promise.resolve();
    await database.transaction(async (tx) => {
      await raise(tx, id);
      expect(await look()).toEqual([{ n: 0 }]);
    });
    expect(await look()).toEqual([{ n: 1 }]);
    await lock?.release();
  });

  test('is lost with its connection, and then anybody`s', async () => {
    const [mine, theirs] = [await open(), await open()];
    const long = 'a name that is longer than the sixty-four characters which the server takes';
    for (const title of ['relay', long]) {
      const lock = await mine.tryLock(title);
      expect([await lock?.isHeld(), await theirs.tryLock(title)]).toEqual([true, null]);
      const holder = 'SELECT IS_USED_LOCK(?) AS id';
      const [[session]] = await admin.query<mysql.RowDataPacket[]>(holder, [lockName(databaseName, title)]);
      await kill(Number(session?.['id']));
      const next = await until(() => theirs.tryLock(title));
      expect([await lock?.read('SELECT 1 AS one'), await lock?.isHeld(), await next.isHeld()]).toEqual([
        null,
        false,
        true,
      ]);
      await lock?.release();
      expect(await next.isHeld()).toBe(true);
      await next.release();
    }
  });

  test('lets migrations of many processes run one after the other', async () => {
    const other = `${name}_many`;
    const handles = await Promise.all(Array.from({ length: 5 }, () => open({ name: other })));
    await Promise.all(handles.map((handle) => handle.migrate()));
    expect(await handles[0]?.read('SELECT COUNT(*) AS n FROM migrations')).toEqual([{ n: 1 }]);
  });
});

describe('a server that cannot be used is EngineUnavailable, and the cause says why', () => {
  const at = (address: string): Promise<string> => causeOf(open({ url: address }));
  const { host } = new URL(url);

  test('refused, unknown host', async () => {
    expect(await at('mysql://root@127.0.0.1:1')).toMatch(/MySQL at 127\.0\.0\.1:1: .*ECONNREFUSED/);
    expect(await at('mysql://root@localhost:1')).toMatch('ECONNREFUSED');
    expect(await at('mysql://root@nowhere.invalid:3306')).toMatch(/nowhere\.invalid/);
  });

  test('wrong password, no rights', async () => {
    const user = `u${randomUUID().slice(0, 8)}`;
    // Named for both: where there are nameless users, localhost would be theirs.
    const users = ['%', 'localhost'].map((from) => `'${user}'@'${from}'`);
    for (const one of users) await admin.query(`CREATE USER ${one} IDENTIFIED BY 'p@ss:w/rd'`);
    try {
      expect(await at(`mysql://${user}:wrong@${host}`)).toMatch(/Access denied for user .*using password: YES/);
      const created = await at(`mysql://${user}:${encodeURIComponent('p@ss:w/rd')}@${host}`);
      expect(created).toMatch(new RegExp(`no database ${databaseName}, and it could not be created: .*Access denied`));
      for (const one of users) await admin.query(`GRANT ALL ON \`${databaseName}\`.* TO ${one}`);
      const database = await open({ url: `mysql://${user}:${encodeURIComponent('p@ss:w/rd')}@${host}` });
      expect(await database.read('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    } finally {
      await admin.query(`DROP USER ${users.join(', ')}`);
    }
  });

  test('a certificate that nobody vouches for; one that need not be vouched for encrypts', async () => {
    const cause = await causeOf(open({ tls: {} }));
    expect(cause).toMatch(/certificate|Server does not support secure connection/);
    if (!cause.includes('certificate')) return; // MariaDB has none unless it is given one
    const database = await open({ tls: { rejectUnauthorized: false } });
    const [cipher] = await database.read<{ Value: string }>("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    expect(cipher?.Value).toMatch(/\w/);
  });
});

interface Proxy {
  readonly url: string;
  /** From now on a COMMIT ends the connection it comes on. */
  arm(): void;
  close(): Promise<void>;
}

/** A wire to the server that breaks at COMMIT: before it got there, or before its answer came back. */
async function cutAtCommit(reaches: boolean): Promise<Proxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let armed = false;
  const server: Server = createServer((client) => {
    const upstream = connect(Number(port || 3306), hostname);
    let cut = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        // What was sent must get there.
        if (socket === upstream) upstream.destroy();
        else upstream.end();
      });
    }
    client.on('data', (data) => {
      cut ||= armed && data.includes('COMMIT');
      if (!cut || reaches) upstream.write(data);
      if (cut) client.destroy();
    });
    upstream.on('data', (data) => {
      if (!cut) client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = new URL(url);
  address.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: address.href,
    arm: () => (armed = true),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
