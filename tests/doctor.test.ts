/** Every thing that can be wrong with the data is broken in turn, and the doctor says so in words and changes nothing. */
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { views } from '../app/doctor/checks/views.js';
import { CONSUMERS } from '../app/doctor/consumers.js';
import { CHECKS } from '../app/doctor/doctor.js';
import { openFolder } from '../app/doctor/folder.js';
import { FileView } from '../app/doctor/log-view.js';
import type { Subject } from '../app/doctor/subject.js';
import { openEngines } from '../app/engines.js';
import { startSystem } from '../app/system.js';
import { readConfig } from '../shared/config/config.js';
import { openSqliteDocumentStore } from '../shared/document-store/sqlite.js';
import { LogFile } from '../shared/event-log/log-file.js';
import { SafeDatabase } from '../shared/libsql/libsql.js';
import { silentLogger } from '../shared/observability/logger.js';
import { createMetrics } from '../shared/observability/metrics.js';
import { changeGenerations, readGenerations } from '../subgraphs/query/generations.js';
import { contentsOf, doctor, sql } from './doctor-tools.js';
import { portSettings } from './process.js';
import { ADMIN, startTestSystem, type TestSystem } from './system.js';
import { until } from './until.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-doctor-test-'));
const SECRETS = {
  AUTH_SECRET: 'this one encrypts the signing keys here',
  IDENTITY_SECRET: 'and this one is what all processes share',
};
const HOUR = 3_600_000;

/** A system that was used, left in good order, and as a crash leaves it. */
const served = join(root, 'served');
const sound = join(root, 'sound');
const crashed = join(root, 'crashed');
let ports: Readonly<Record<string, string>>;

beforeAll(async () => {
  const system = await startTestSystem({ dataDir: served, tokens: true, settings: { ...SECRETS, AUTH_MODE: 'demo' } });
  ports = portsOf(system);
  await use(system);
  // In one process with the system, which cannot answer while it works.
  const names = CHECKS.map(({ name }) => name).filter((name) => name !== 'ports');
  expect((await doctor({ DATA_DIR: served, ...ports, ...SECRETS }, names)).problems).toEqual([]);
  cpSync(served, crashed, { recursive: true, filter: (file) => !/(lock\.sqlite|-shm)$/.test(file) });
  await system.stop();
  // Of this process's own files some are closed as late as their memory is cleared, which still writes to them.
  cpSync(served, sound, { recursive: true });
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Makes events of some kinds, and waits until all is quiet. */
async function use(system: TestSystem): Promise<void> {
  await system.ok(
    `mutation { register(input: { name: "Ana", email: "ana@example.com", password: "any eight or more" }) { user { id } } }`,
  );
  await system.ok(`mutation { createProduct(input: { name: "Tea", price: 3.50, stock: 100 }) { product { id } } }`);
  await until(async () => {
    const { problems } = await doctor({ DATA_DIR: served }, ['lag', 'outbox'], () => Date.now() + HOUR);
    return problems.length === 0;
  });
}

function portsOf({ config }: TestSystem): Readonly<Record<string, string>> {
  const named = Object.entries(config.ports).map(([name, port]) => [`${name.toUpperCase()}_PORT`, String(port)]);
  return Object.fromEntries(named) as Record<string, string>;
}

/** A copy of the sound folder to break. */
function copy(from = sound): string {
  const folder = mkdtempSync(join(root, 'broken-'));
  cpSync(from, folder, { recursive: true });
  return folder;
}

/** As if a process had the folder. Answers what ends that. */
function hold(folder: string): () => void {
  const lock = new SafeDatabase(join(folder, 'lock.sqlite'));
  lock.exec('BEGIN EXCLUSIVE');
  return () => {
    lock.exec('ROLLBACK');
    lock.close();
  };
}

test('a stopped system is sound, and not a byte of its folder changes', async () => {
  const before = contentsOf(sound);
  const report = await doctor({ DATA_DIR: sound, ...ports, ...SECRETS });
  expect(report.problems).toEqual([]);
  expect(report.warnings).toEqual([]);
  expect(contentsOf(sound)).toEqual(before);
  expect(report.of('signing keys')).toEqual([
    { level: 'ok', what: 'our secret opens the key that signs access tokens' },
  ]);
});

test('what a crash left is read with all its last commits, and stays as it is', async () => {
  expect(readdirSync(crashed)).toContain('tributary_user.sqlite-wal');
  const before = contentsOf(crashed);
  const report = await doctor({ DATA_DIR: crashed, ...ports, ...SECRETS });
  expect(report.problems).toEqual([]);
  expect(report.of('signing keys')).toEqual([expect.objectContaining({ level: 'ok' })]);
  expect(contentsOf(crashed)).toEqual(before);
});

test('copies go when they are closed, and at the latest with the process', async () => {
  const temporary = mkdtempSync(join(root, 'temporary-'));
  const atExit = process.listeners('exit');
  const open = async () => {
    const stores = await openFolder(crashed, temporary);
    expect(readdirSync(temporary)).toHaveLength(1);
    return stores;
  };
  const added = () => process.listeners('exit').filter((one) => !atExit.includes(one));
  await (await open()).close();
  expect(readdirSync(temporary)).toEqual([]);
  expect(added()).toEqual([]);
  await open();
  for (const listener of added()) {
    process.off('exit', listener);
    listener.call(process, 0);
  }
  expect(readdirSync(temporary)).toEqual([]);
});

test('where there is nothing, nothing is made and nothing is wrong', async () => {
  const folder = join(root, 'nowhere', 'yet');
  const report = await doctor({ DATA_DIR: folder, ...ports });
  expect(report.problems).toEqual([]);
  expect(existsSync(join(root, 'nowhere'))).toBe(false);
});

const LOG = 'event-log.sqlite';
const ORDER = 'tributary_order.sqlite';

describe('what is broken is told by its check, and by no other', () => {
  test.each<[string, string, readonly string[], RegExp]>([
    [
      'topics',
      LOG,
      [`DELETE FROM partitions WHERE topic = 'stock.dlq'`, `DELETE FROM topics WHERE name = 'stock.dlq'`],
      /there is no topic stock\.dlq/,
    ],
    [
      'topics',
      LOG,
      [`INSERT INTO partitions (topic, number) VALUES ('orders', 12)`],
      /orders has 13 partitions instead of 12: keys have moved/,
    ],
    ['topics', LOG, [`DELETE FROM partitions WHERE topic = 'stock' AND number = 11`], /stock has 11 partitions/],
    [
      'topics',
      LOG,
      [`UPDATE topics SET retention_ms = 3600000 WHERE name = 'users'`],
      /users keeps records for 1h instead/,
    ],
    ['topics', LOG, [`UPDATE topics SET retention_ms = 8640000000 WHERE name = 'users'`], /remember for 31d/],
    ['migrations', ORDER, [`DELETE FROM migrations WHERE id = 2`], /tributary_order lacks 1 migration: \w+/],
    [
      'migrations',
      ORDER,
      [`INSERT INTO migrations VALUES (99, 2000000000000, 'Later2000000000000')`],
      /newer version.*Later2000000000000/,
    ],
    [
      'outbox',
      ORDER,
      [OUTBOX('published_at', 'NULL'), `UPDATE outbox SET set_aside = 1, refused = 'too large'`],
      /tributary_order keeps back 1 event/,
    ],
    ['dead letters', ORDER, [PARKED()], /order\.stock has given up on 1 event/],
    [
      'progress',
      'documents.sqlite',
      [`UPDATE progress SET doc = json_set(doc, '$.log', 'another')`],
      /come from another event log/,
    ],
    [
      'progress',
      'documents.sqlite',
      [`UPDATE progress SET doc = json_set(doc, '$.next', 999)`],
      /read \w+ up to 999, but it ends at \d+: the log has lost records/,
    ],
  ])('%s in %s after %j', async (check, file, statements, words) => {
    const folder = copy();
    sql(join(folder, file), ...statements);
    const before = contentsOf(folder);
    const report = await doctor({ DATA_DIR: folder, ...ports, ...SECRETS });
    expect(report.problems).toEqual([expect.stringMatching(new RegExp(`^${check}: `))]);
    expect(report.of(check)).toContainEqual({
      level: 'problem',
      what: expect.stringMatching(words),
      todo: expect.stringMatching(/./),
    });
    expect(contentsOf(folder)).toEqual(before);
  });

  test.each([ORDER, LOG, 'documents.sqlite'])('%s that is no database hides nothing of the others', async (file) => {
    const folder = copy();
    rmSync(join(folder, `${file}-wal`), { force: true });
    writeFileSync(join(folder, file), 'this is no database, whatever its name says. '.repeat(200));
    const report = await doctor({ DATA_DIR: folder, ...ports, ...SECRETS });
    expect(report.problems).toEqual([expect.stringMatching(/cannot be used.*: it is no database file$/)]);
    expect(report.of('node')).toEqual([expect.objectContaining({ level: 'ok' })]);
    expect(report.of('signing keys')).toEqual([expect.objectContaining({ level: 'ok' })]);
  });
});

describe('what waits', () => {
  const waits = (folder: string, check: string) => doctor({ DATA_DIR: folder }, [check], () => Date.now() + HOUR);

  test.each<[string, string, string, RegExp]>([
    [
      'outbox',
      ORDER,
      OUTBOX('published_at', 'NULL'),
      /1 event of tributary_order wait to be published, the oldest for/,
    ],
    [
      'lag',
      LOG,
      `DELETE FROM offsets WHERE "group" = 'order.catalogue'`,
      /order\.catalogue has 1 record to read, the oldest for 1h/,
    ],
    ['timers', ORDER, `INSERT INTO timers VALUES ('x', 'EXPIRY', 1700000000000)`, /1 order should have been/],
    [
      'waiting mails',
      'tributary_user.sqlite',
      `UPDATE mails SET status = 'REQUESTED'`,
      /mails that wait: 1, the oldest for/,
    ],
  ])('%s is a problem beside a process and a warning without one', async (check, file, statement, words) => {
    const folder = copy();
    sql(join(folder, file), statement);
    expect((await waits(folder, check)).of(check)).toContainEqual(
      expect.objectContaining({
        level: 'warning',
        what: expect.stringMatching(words),
        todo: expect.stringContaining('Start Tributary'),
      }),
    );
    const release = hold(folder);
    expect((await waits(folder, check)).of(check)).toContainEqual(
      expect.objectContaining({ level: 'problem', what: expect.stringMatching(words) }),
    );
    release();
  });
});

test('keys that our secret does not open are told, with the setting that is wrong', async () => {
  const other = await doctor({ DATA_DIR: sound, AUTH_SECRET: 'another secret, as long as it has to be' }, [
    'signing keys',
  ]);
  expect(other.problems).toEqual([expect.stringMatching(/encrypted under another AUTH_SECRET/)]);
});

test('events from the future tell of a clock that is wrong', async () => {
  const report = await doctor({ DATA_DIR: sound }, ['record times'], () => Date.now() - HOUR);
  expect(report.problems).toEqual([expect.stringMatching(/bear times 3[56]\d\d s or more after this machine’s clock/)]);
});

test('records that come, and are read into the views, while the doctor looks are not taken for lost ones', async () => {
  const folder = copy();
  const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
  const log = new FileView(new LogFile(join(folder, LOG)));
  const writer = new LogFile(join(folder, LOG));
  const record = { topic: 'users', key: 'x', value: '{}', headers: {} };
  const partitions = writer.topic('users')?.partitions ?? [];
  writer.write(
    partitions.map((partition) => ({ partition, record })),
    Date.now(),
  );
  sql(
    join(folder, 'documents.sqlite'),
    `UPDATE progress SET doc = json_set(doc, '$.next', json_extract(doc, '$.next') + 1)
     WHERE json_extract(doc, '$.topic') = 'users'`,
  );
  const subject: Pick<Subject, 'documents' | 'eventLog'> = {
    documents: () => Promise.resolve(documents),
    eventLog: () => Promise.resolve(log),
  };
  const progress = views.find(({ name }) => name === 'progress');
  expect(await progress?.run(subject as Subject)).toEqual([{ level: 'ok', what: 'the views have everything' }]);
  for (const one of [documents, log, writer]) await one.close();
});

test('a rebuild that was interrupted is told with the command that goes on with it, one that runs is not', async () => {
  const folder = copy();
  const documents = openSqliteDocumentStore({ file: join(folder, 'documents.sqlite') });
  const rebuild = {
    step: 'publish',
    aborted: false,
    views: { orders: { from: 1, to: 2, total: 0, published: 0, after: null } },
    owner: null,
    beat: 1,
    where: 'here',
    startedAt: 1_700_000_000_000,
  } as const;
  await changeGenerations(documents, (doc) => ({ ...doc, rebuild }));
  const report = await doctor({ DATA_DIR: folder }, ['rebuild']);
  expect(report.of('rebuild')).toEqual([
    {
      level: 'warning',
      what: expect.stringContaining(
        'a rebuild of orders, begun 2023-11-14T22:13:20.000Z, was interrupted at its step publish',
      ),
      todo: expect.stringContaining('`projections rebuild orders` goes on with it'),
    },
  ]);
  expect((await readGenerations(documents)).rebuild).toEqual(rebuild);

  const release = hold(folder);
  await changeGenerations(documents, (doc) => ({ ...doc, rebuild: { ...rebuild, owner: 'someone' } }));
  const heart = setInterval(() => {
    void changeGenerations(documents, (doc) => ({
      ...doc,
      rebuild: { ...rebuild, owner: 'someone', beat: Date.now() },
    }));
  }, 200);
  expect((await doctor({ DATA_DIR: folder }, ['rebuild'])).of('rebuild')).toEqual([
    { level: 'ok', what: 'a rebuild of orders is under way (here)' },
  ]);
  clearInterval(heart);
  release();
  await documents.close();
});

test('the doctor knows every consumer group that a running system has', async () => {
  const config = readConfig({ DATA_DIR: join(root, 'groups'), ...(await portSettings()) });
  const engines = await openEngines(config, { clientId: 'test', log: silentLogger() });
  const { eventLog } = engines;
  const groups = new Map<string, Set<string>>();
  const subscribe = eventLog.subscribe.bind(eventLog);
  eventLog.subscribe = (options) => {
    const topics = groups.get(options.group) ?? new Set();
    groups.set(options.group, new Set([...topics, ...options.topics]));
    return subscribe(options);
  };
  const system = await startSystem({ config, engines, log: silentLogger(), metrics: createMetrics(), now: Date.now });
  const known = CONSUMERS.map(({ group, topics }) => [group, [...topics].sort()] as const);
  expect(Object.fromEntries([...groups].map(([group, topics]) => [group, [...topics].sort()]))).toEqual(
    Object.fromEntries(known),
  );
  await system.stop();
});

/** SQL that makes the newest published row wait again. */
function OUTBOX(column: string, value: string): string {
  return `INSERT INTO outbox (event_id, topic, record_key, aggregate_id, version, payload, headers, ${column})
    VALUES ('${ADMIN.userId ?? ''}', 'orders', 'x', 'x', 1, '{}', '{}', ${value})`;
}

/** SQL of a dead letter. */
function PARKED(): string {
  const record = { topic: 'stock', key: 'x', value: '{}', headers: {}, partition: 0, offset: 0, timestamp: 0 };
  return `INSERT INTO parked (consumer, event_id, record_key, message, attempt, due_at, state, error, created_at)
    VALUES ('order.stock', 'x', 'x', '${JSON.stringify(record)}', 6, 0, 'DEAD', 'Error: no', 0)`;
}
