import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Kafka, logLevel } from 'kafkajs';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { engine, type EngineName } from '../ops/engines/api.mjs';
import { PROCESS_NAMES, type ProcessName } from '../app/processes.js';
import { TOPICS } from '../shared/events/catalogue.js';
import { FaultBench } from './fault-bench.js';
import { until } from './until.js';

/** FAULTS=some leaves out what only repeats a kind of fault elsewhere. */
const some = process.env['FAULTS'] === 'some';
const kinds = <T>(all: readonly T[], representative: readonly T[]): readonly T[] => (some ? representative : all);

/** The servers that `npm run test:faults` has started for these tests alone. */
const urls = Object.fromEntries(
  ['KAFKA_BROKERS', 'MYSQL_URL', 'MONGO_URL'].map((name) => [name, process.env[name] ?? '']),
);
const server = (name: EngineName) => engine(name, { instance: 'faults' });

let bench: FaultBench;

beforeAll(async () => {
  bench = await FaultBench.start(urls);
}, 300_000);

afterAll(async () => {
  // Where it could not begin there is none.
  await (bench as FaultBench | undefined)?.dispose();
});

/** Cuts the connections to MySQL that a query finds; answers how many there were. */
async function cut(sql: string): Promise<number> {
  const connection = await createConnection(urls['MYSQL_URL'] ?? '');
  try {
    const [rows] = await connection.query<(RowDataPacket & { id: number })[]>(sql);
    // One that is gone by then needs no cutting.
    for (const { id } of rows) await connection.query(`KILL ${id}`).catch(() => undefined);
    return rows.length;
  } finally {
    connection.destroy();
  }
}

const IN_TRANSACTION =
  'SELECT trx_mysql_thread_id AS id FROM information_schema.innodb_trx WHERE trx_mysql_thread_id > 0';
const LOCK_HOLDERS = `SELECT threads.PROCESSLIST_ID AS id FROM performance_schema.metadata_locks locks
  JOIN performance_schema.threads threads ON threads.THREAD_ID = locks.OWNER_THREAD_ID
  WHERE locks.OBJECT_TYPE = 'USER LEVEL LOCK' AND locks.LOCK_STATUS = 'GRANTED'`;

/** Broken JSON, an unknown type, no CloudEvent and nothing at all, under the key of an order that exists. */
async function poison(): Promise<void> {
  const kafka = new Kafka({ brokers: (urls['KAFKA_BROKERS'] ?? '').split(','), logLevel: logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  try {
    for (const topic of Object.keys(TOPICS)) {
      const headers = { ce_specversion: '1.0', ce_id: 'x', ce_type: 'no.such.event', ce_source: 'tributary/x' };
      const messages = [
        { key: bench.anyOrder, value: '{"order":', headers },
        { key: bench.anyOrder, value: '{}', headers },
        { key: null, value: null },
      ];
      await producer.send({ topic: `${bench.namespace}.${topic}`, messages });
    }
  } finally {
    await producer.disconnect();
  }
}

describe('nothing is lost and nothing happens twice when', () => {
  test.each(kinds<ProcessName>(PROCESS_NAMES, ['order-api', 'order-worker', 'projector']))(
    '%s is killed',
    async (process) => {
      await bench.survives(`SIGKILL of ${process}`, async () => {
        const member = bench.fleet.member(process);
        await member.end('SIGKILL');
        member.start();
      });
    },
    300_000,
  );

  test.each(kinds<EngineName>(['kafka', 'mysql', 'mongo'], ['kafka', 'mysql', 'mongo']))(
    '%s is killed and starts again',
    async (name) => {
      await bench.survives(`SIGKILL of ${name}`, async () => {
        await server(name).kill();
        await server(name).start();
      });
    },
    300_000,
  );

  test('Kafka stands still for 20 s', async () => {
    await bench.survives('Kafka paused for 20 s', async () => {
      server('kafka').pause();
      await new Promise((resume) => setTimeout(resume, 20_000));
      server('kafka').resume();
    });
  }, 300_000);

  test.each(kinds<string>(['killed', 'paused'], ['killed']))(
    'Kafka is %s while all views are rebuilt',
    async (how) => {
      await bench.survives(`Kafka ${how} during a rebuild`, () =>
        bench.rebuildsThrough(async () => {
          const kafka = server('kafka');
          if (how === 'killed') {
            await kafka.kill();
            await kafka.start();
          } else {
            kafka.pause();
            await new Promise((resume) => setTimeout(resume, 20_000));
            kafka.resume();
          }
        }),
      );
    },
    300_000,
  );

  test('connections to MySQL are cut in the middle of transactions', async () => {
    await bench.survives('MySQL connections cut in transactions', async () => {
      let transactions = 0;
      await until(async () => {
        transactions += await cut(IN_TRANSACTION);
        return transactions >= 20;
      });
    });
  }, 300_000);

  test('the leader of a relay loses its lock without noticing', async () => {
    await bench.survives('relay lock lost by a paused leader', async () => {
      // One of the two leads; the paused one finds out after it has gone on.
      for (const number of [1, 2]) {
        const { running } = bench.fleet.member('order-worker', number);
        running.child.kill('SIGSTOP');
        expect(await cut(LOCK_HOLDERS)).toBeGreaterThan(0);
        await bench.everyPartitionWorks();
        running.child.kill('SIGCONT');
      }
    });
  }, 300_000);

  test('a consumer sleeps past its session and goes on as if nothing had happened', async () => {
    await bench.survives('zombie consumers', async () => {
      const sleepers = (['order-worker', 'product-worker', 'projector'] as const).map(
        (name) => bench.fleet.member(name).running.child,
      );
      for (const child of sleepers) child.kill('SIGSTOP');
      // The others have taken over every partition by then.
      await bench.everyPartitionWorks();
      for (const child of sleepers) child.kill('SIGCONT');
    });
  }, 300_000);

  test('groups are rebalanced in the middle of their batches', async () => {
    await bench.survives('rebalances under load', async () => {
      for (const name of ['order-worker', 'balance-worker', 'projector'] as const) {
        const member = bench.fleet.member(name, 2);
        expect((await member.end('SIGTERM')).code).toBe(0);
        member.start();
        await member.ready();
      }
    });
  }, 300_000);

  test('every topic holds messages that nobody can read', async () => {
    await bench.survives('poison in every topic', poison);
    const found = await bench.tributary('dlq', 'list', '--json', '--limit', '1000');
    const topics = new Set(
      found
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { topic: string }).topic),
    );
    expect([...topics].sort()).toEqual(Object.keys(TOPICS).sort());
    await bench.tributary('dlq', 'drop', '--all', '--yes');
  }, 300_000);

  test('and at the end nothing is dead, and every process leaves in good order', async () => {
    expect((await bench.tributary('dlq', 'list', '--json')).trim()).toBe('');
    await bench.stop();
  }, 120_000);
});
