import { randomUUID } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, describe, expect, test } from '@jest/globals';
import { MongoClient } from 'mongodb';
import { pino } from 'pino';
import { until } from '../../tests/until.js';
import { EngineUnavailable } from '../errors/errors.js';
import { silentLogger, type Logger } from '../observability/logger.js';
import { databaseOf } from './mongodb-client.js';
import { openMongoDocumentStore } from './mongodb.js';
import type { DocumentStore } from './port.js';

const url = process.env['MONGO_URL'] ?? '';
if (url === '') throw new Error('MONGO_URL is missing: the address of a server, such as mongodb://127.0.0.1:27017.');

/** Stands between stores and the server, and can stand still, or end its connections in the ways a server's may end. */
class Line {
  private readonly near = new Set<Socket>();
  private server: Server | undefined;
  private port = 0;
  private held = false;

  async up(): Promise<void> {
    const [, host = '', port = '27017'] = /@?([^@/:,]+):(\d+)/.exec(url.slice(url.indexOf('://') + 3)) ?? [];
    this.server = createServer((near) => {
      const far = connect(Number(port), host);
      this.near.add(near);
      near.on('close', () => this.near.delete(near));
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        from.on('data', (data) => to.write(data));
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
      if (this.held) near.pause();
    }).listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  /** Nobody listens any more, as after a kill. */
  async cut(): Promise<void> {
    this.server?.close();
    this.end('destroy');
    if (this.server?.listening === true) await once(this.server, 'close');
  }

  /** Nothing is read any more, so that writers wait before long; or all of it again. */
  hold(held: boolean): void {
    this.held = held;
    for (const socket of this.near) socket[held ? 'pause' : 'resume']();
  }

  /** Ends every connection, idle ones too, and takes new ones: in good order, or by a reset. */
  end(how: 'end' | 'resetAndDestroy' | 'destroy'): void {
    for (const socket of this.near) socket[how]();
  }

  get url(): string {
    const options =
      'directConnection=true&serverSelectionTimeoutMS=1000&connectTimeoutMS=1000&heartbeatFrequencyMS=500';
    return `mongodb://127.0.0.1:${this.port}/tributary?${options}`;
  }
}

const namespace = `t${randomUUID().slice(0, 8)}`;
const stores: DocumentStore[] = [];
const open = async (at: string, log: Logger = silentLogger()): Promise<DocumentStore> => {
  const store = await openMongoDocumentStore({ url: at, namespace, log });
  stores.push(store);
  return store;
};

afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  const client = new MongoClient(url);
  await client.db(databaseOf({ url, namespace })).dropDatabase();
  await client.close();
});

describe('MongoDB, when its server goes away', () => {
  const one = { id: 'a', version: 1, doc: {} };
  /** Every call, so that each path through the driver is met. */
  const calls = (store: DocumentStore): Promise<unknown>[] => [
    store.ping(),
    store.get('lost', 'a'),
    store.find('lost', { sort: { field: 'rank', direction: 'asc' }, limit: 1 }),
    store.count('lost'),
    store.countPerKey('lost', 'owner', ['x']),
    store.putIfNewer('lost', [one]),
    store.remove('lost', ['b']),
    store.ensureCollections([{ name: 'lost', indexes: [{ fields: ['rank'] }] }]),
  ];
  const expectAway = async (store: DocumentStore): Promise<void> => {
    for (const outcome of await Promise.allSettled(calls(store))) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
    }
  };

  test('after the connection is cut every call rejects with EngineUnavailable, and works once the server is back', async () => {
    const line = new Line();
    await line.up();
    const said: unknown[] = [];
    const log = pino({ base: null }, { write: (text) => said.push((JSON.parse(text) as { msg: string }).msg) });
    const store = await open(line.url, log);
    await Promise.all(calls(store));
    await line.cut();
    await expectAway(store);
    await line.up();
    await until(() => store.ping().then(() => true));
    await Promise.all(calls(store));
    expect(await store.get('lost', 'a')).toEqual(one);
    await until(() => said.length >= 2);
    expect(said).toEqual(['the document store is away', 'the document store is back']);
    await store.close();
    await line.cut();
  });

  test('a store opened before its server is there works once it is', async () => {
    const line = new Line();
    await line.up();
    await line.cut();
    const store = await open(line.url);
    await expectAway(store);
    await line.up();
    await until(() => store.ping().then(() => true));
    await Promise.all(calls(store));
    await store.close();
    await line.cut();
  });

  test('a server that hangs is given up, and used again when it goes on', async () => {
    const line = new Line();
    await line.up();
    const store = await open(line.url);
    await Promise.all(calls(store));
    line.hold(true);
    await expectAway(store);
    line.hold(false);
    await until(() => store.ping().then(() => true));
    await Promise.all(calls(store));
    await store.close();
    await line.cut();
  });

  test('a put whose answer is lost can be repeated: the document is there once, in its version', async () => {
    const line = new Line();
    await line.up();
    const store = await open(line.url);
    await store.ping();
    const put = store.putIfNewer('lost', [{ id: 'repeated', version: 3, doc: { n: 3 } }]);
    await line.cut();
    await put.catch((error: unknown) => expect(error).toBeInstanceOf(EngineUnavailable));
    await line.up();
    await until(() => store.putIfNewer('lost', [{ id: 'repeated', version: 3, doc: { n: 3 } }]).then(() => true));
    expect(await store.get('lost', 'repeated')).toEqual({ id: 'repeated', version: 3, doc: { n: 3 } });
    await store.close();
    await line.cut();
  });

  /** What calls came to, of which each was either answered or told by the driver that its connection was lost. */
  const expectSettled = async (running: readonly Promise<unknown>[]): Promise<readonly unknown[]> => {
    const outcomes = await Promise.allSettled(running);
    const lost = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    expect(lost.filter((error) => !(error instanceof EngineUnavailable))).toEqual([]);
    // The last limit would have said so too, much later.
    expect(lost.filter((error) => /no answer within/.test(String((error as Error).cause)))).toEqual([]);
    return lost;
  };

  test('a large put that the server takes no more of is given up by the driver, and its place in the pool is free again', async () => {
    const line = new Line();
    await line.up();
    const store = await open(`${line.url}&maxPoolSize=1`);
    await store.ping();
    line.hold(true);
    const pad = 'x'.repeat(100_000);
    const docs = Array.from({ length: 200 }, (_, n) => ({ id: `large-${n}`, version: 1, doc: { pad } }));
    expect(await expectSettled([store.putIfNewer('lost', docs)])).toHaveLength(1);
    line.hold(false);
    await until(() => store.ping().then(() => true));
    expect((await store.putIfNewer('lost', [{ id: 'large-0', version: 2, doc: {} }])).size).toBe(1);
    await store.close();
    await line.cut();
  });

  test('a call that takes an idle connection just after the server closed it is told so, or answered over another one', async () => {
    const line = new Line();
    await line.up();
    const store = await open(`${line.url}&maxPoolSize=1`);
    const running: Promise<unknown>[] = [];
    const begin = (): void => void running.push(store.get('lost', 'a'));
    // Destroyed by then, and not yet known to be closed.
    const watch = (message: unknown): void => {
      const { socket } = message as { readonly socket: Socket };
      socket.once('finish', () => process.nextTick(begin));
    };
    subscribe('net.client.socket', watch);
    await store.ping();
    line.end('end');
    await until(() => running.length > 0);
    unsubscribe('net.client.socket', watch);
    await expectSettled(running);
    await store.close();
    await line.cut();
  });

  test('a call that takes an idle connection just after its reset is told that the server is away', async () => {
    const line = new Line();
    await line.up();
    const store = await open(`${line.url}&retryReads=false`);
    await store.ping();
    line.end('resetAndDestroy');
    expect(await expectSettled([store.get('lost', 'a')])).toHaveLength(1);
    await store.close();
    await line.cut();
  });
});
