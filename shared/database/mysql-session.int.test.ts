/** Transactions begin without being told to, because their sessions say so: what if a session does not? */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { EngineUnavailable } from '../errors/errors.js';
import type { Database, Transaction } from './port.js';
import { openMysqlDatabase } from './mysql.js';
import { mysqlDatabases, mysqlUrl } from './testing.js';

const name = 'tributary_sessions';
const namespace = `sessions_${process.pid}`;
const engine = mysqlDatabases(namespace);
let direct: Database;

beforeAll(async () => {
  direct = await engine.open({ name, migrations: [] });
  await direct.read('CREATE TABLE things (id VARCHAR(36) PRIMARY KEY)');
});
afterAll(async () => {
  await direct.close();
  await engine.dispose();
});

const add = (tx: Transaction, id: string): Promise<void> => tx.insert('things', [{ id }]);
const ids = async (): Promise<unknown[]> =>
  (await direct.read('SELECT id FROM things ORDER BY id')).map(({ id }) => id);

test('statements of a transaction are nobody else`s to see, and those beside it stand for themselves', async () => {
  const own = 'SELECT @@autocommit AS own';
  await direct.transaction(async (tx) => {
    expect(await tx.query(own)).toEqual([{ own: 0 }]);
    await add(tx, 'seen');
    expect([await direct.read(own), await ids()]).toEqual([[{ own: 1 }], []]);
  });
  expect(await ids()).toEqual(['seen']);
});

test('a session that cannot be set up carries no statement', async () => {
  const spoilt = await spoiling('autocommit = 0', 'autocommit = 7');
  const database = await openMysqlDatabase({ url: spoilt.url, namespace, name, migrations: [] });
  const before = await ids();
  const failing = database.transaction(async (tx) => {
    await add(tx, 'alone');
    throw new Error('never reached');
  });
  await expect(failing).rejects.toBeInstanceOf(EngineUnavailable);
  expect(await ids()).toEqual(before);
  await database.close();
  await spoilt.close();
});

/** A wire to the server on which one text arrives as another of the same length. */
async function spoiling(text: string, as: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const { hostname, port } = new URL(mysqlUrl());
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port || 3306), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (data) => upstream.write(Buffer.from(data.toString('latin1').replace(text, as), 'latin1')));
    client.on('close', () => upstream.destroy());
    upstream.on('data', (data) => client.write(data));
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(mysqlUrl());
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
