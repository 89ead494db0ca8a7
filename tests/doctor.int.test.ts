/** The doctor on real servers: each thing is broken in turn, in a namespace of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ConfigResourceTypes, Kafka, logLevel, type Admin } from 'kafkajs';
import { MongoClient } from 'mongodb';
import { createConnection, type Connection } from 'mysql2/promise';
import { databaseOf } from '../shared/document-store/mongodb-client.js';
import { certificate, doctor } from './doctor-tools.js';
import { openNamespace } from './namespace.js';
import { startTestSystem, type TestSystem } from './system.js';
import { until } from './until.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-doctor-int-'));
const namespace = openNamespace();
const SECRETS = {
  AUTH_SECRET: 'this one encrypts the signing keys here',
  IDENTITY_SECRET: 'and this one is what all processes share',
};
const { MYSQL_URL = '', MONGO_URL = '' } = namespace.settings;
const settings = { ...namespace.settings, ...SECRETS, AUTH_MODE: 'demo' };
/** Not the ports: the system runs in this process, and cannot answer while the doctor works in it. */
const CHECKS = [
  'databases',
  'migrations',
  'outbox',
  'timers',
  'signing keys',
  'event log',
  'topics',
  'brokers',
  'lag',
  'dead letters',
  'document store',
  'collections',
  'rebuild',
  'progress',
  'waiting mails',
  'clocks',
  'record times',
  'certificates of servers',
];
const HOUR = 3_600_000;
const wire = (name: string): string => `${namespace.name}.${name}`;
let admin: Admin;
let mysql: Connection;
let mongo: MongoClient;

beforeAll(async () => {
  admin = new Kafka({ brokers: [...namespace.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  mysql = await createConnection(MYSQL_URL);
  mongo = new MongoClient(MONGO_URL);
});

afterAll(async () => {
  await admin.disconnect();
  await mysql.end();
  await mongo.close();
  await namespace.dispose();
  rmSync(root, { recursive: true, force: true });
});

const look = (names: readonly string[] = CHECKS, more: Readonly<Record<string, string>> = {}, now?: () => number) =>
  doctor({ ...settings, ...more }, names, now);

/** What there is on the servers under our name. */
async function inventory(): Promise<unknown> {
  const [databases] = await mysql.query(
    'SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema LIKE ? ORDER BY 1, 2',
    [`${namespace.name}%`],
  );
  const topics = (await admin.listTopics()).filter((name) => name.startsWith(namespace.name)).sort();
  const collections = await mongo
    .db(databaseOf({ url: MONGO_URL, namespace: namespace.name }))
    .listCollections({}, { nameOnly: true })
    .toArray();
  return { databases, topics, collections: collections.map(({ name }) => name).sort() };
}

const run = (subgraph: string, sql: string): Promise<unknown> =>
  mysql.query(sql.replaceAll('@', `\`${namespace.name}_tributary_${subgraph}\`.`));

test('before a setup everything is missing, and the doctor makes nothing of it', async () => {
  const report = await look();
  expect(report.problems).toEqual([
    expect.stringMatching(
      /^databases: .* has no tributary_user, tributary_product, tributary_order, tributary_balance$/,
    ),
    expect.stringMatching(/^topics: there is no topic users, users\.dlq,/),
    expect.stringMatching(/^collections: there is no collection users,/),
  ]);
  expect(await inventory()).toEqual({ databases: [], topics: [], collections: [] });
});

test('a system that runs is sound; once it has stopped, nobody leads and nobody reads', async () => {
  const system = await startTestSystem({ dataDir: root, tokens: true, settings });
  await use(system);
  const before = await inventory();
  expect((await look()).problems).toEqual([]);
  expect(await inventory()).toEqual(before);
  await system.stop();
  const report = await look();
  expect(report.problems).toEqual([]);
  expect(report.warnings).toContainEqual(
    expect.stringMatching(/^outbox: no worker publishes what tributary_order will have to say/),
  );
  expect(report.warnings).toContainEqual(
    expect.stringMatching(/^lag: nobody reads for user\.orders, .*query\.timeline/),
  );
}, 60_000);

async function use(system: TestSystem): Promise<void> {
  await system.ok(
    `mutation { register(input: { name: "Ana", email: "ana@example.com", password: "any eight or more" }) { user { id } } }`,
  );
  await system.ok(`mutation { createProduct(input: { name: "Tea", price: 3.50, stock: 100 }) { product { id } } }`);
  await until(async () => (await look(['lag', 'outbox'], {}, () => Date.now() + HOUR)).problems.length === 0);
}

test('what a stopped relay leaves, and what nobody reads, is a problem with its age', async () => {
  await run(
    'order',
    `INSERT INTO @outbox (event_id, topic, record_key, aggregate_id, version, payload, headers)
    VALUES ('0190a000-0000-7000-8000-000000000001', 'orders', 'x', 'x', 1, '{}', '{}')`,
  );
  expect((await look(['outbox'])).problems).toEqual([
    expect.stringMatching(
      /1 event of tributary_order wait to be published, the oldest for \d+d, and no worker is there/,
    ),
  ]);
  await run('order', "UPDATE @outbox SET set_aside = 1, refused = 'too large' WHERE aggregate_id = 'x'");
  expect((await look(['outbox'])).problems).toEqual([expect.stringMatching(/tributary_order keeps back 1 event/)]);
  await run('order', `DELETE FROM @outbox WHERE aggregate_id = 'x'`);

  await admin.resetOffsets({ groupId: wire('order.catalogue'), topic: wire('products'), earliest: true });
  expect((await look(['lag'])).problems).toEqual([
    expect.stringMatching(/order\.catalogue has 1 record to read, and nobody does it/),
  ]);
  expect((await look(['lag'], {}, () => Date.now() + 2 * HOUR)).problems).toEqual([
    expect.stringMatching(/order\.catalogue has 1 record to read, the oldest for 1h or longer, and nobody does it/),
  ]);
});

test('a dead letter, a timer and a migration that is pending or unknown are told', async () => {
  const record = JSON.stringify({
    topic: 'stock',
    key: 'x',
    value: '{}',
    headers: {},
    partition: 0,
    offset: 0,
    timestamp: 0,
  });
  await run(
    'order',
    `INSERT INTO @parked (consumer, event_id, record_key, message, attempt, due_at, state, error, created_at)
    VALUES ('order.stock', 'x', 'x', '${record}', 6, 0, 'DEAD', 'Error: no', 0)`,
  );
  expect((await look(['dead letters'])).problems).toEqual(['dead letters: order.stock has given up on 1 event']);
  await run('order', `INSERT INTO @timers VALUES ('x', 'EXPIRY', 1700000000000)`);
  expect((await look(['timers'])).problems).toEqual([expect.stringMatching(/1 order should have been/)]);
  await run('user', 'DELETE FROM @migrations WHERE id = 2');
  await run('balance', `INSERT INTO @migrations VALUES (99, 2000000000000, 'Later2000000000000')`);
  expect((await look(['migrations'])).problems).toEqual([
    expect.stringMatching(/tributary_user lacks 1 migration/),
    expect.stringMatching(/tributary_balance was brought to a newer version .*Later2000000000000/),
  ]);
});

test('a topic that is missing, cut up otherwise, or forgets too soon or otherwise is told', async () => {
  await admin.deleteTopics({ topics: [wire('stock.dlq')] });
  await admin.createPartitions({ topicPartitions: [{ topic: wire('stock'), count: 13 }] });
  const set = (topic: string, ...entries: { name: string; value: string }[]) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: wire(topic), configEntries: entries }],
    });
  await set('users', { name: 'retention.ms', value: '3600000' });
  await set('orders', { name: 'retention.ms', value: '-1' });
  await set('payments', { name: 'cleanup.policy', value: 'compact' }, { name: 'retention.ms', value: '2592000000' });
  await set('accounts', { name: 'retention.bytes', value: '1000000' }, { name: 'retention.ms', value: '2592000000' });
  const report = await until(async () => {
    const found = await look(['topics']);
    return found.problems.length === 5 && found;
  });
  expect(report.problems).toEqual([
    'topics: there is no topic stock.dlq',
    expect.stringMatching(/users keeps records for 1h instead of 30d/),
    expect.stringMatching(/stock has 13 partitions instead of 12/),
    expect.stringMatching(/orders keeps records for ever, but reactions remember for 31d/),
    expect.stringMatching(/payments has cleanup\.policy compact/),
  ]);
  expect(report.warnings).toEqual([
    expect.stringMatching(/accounts drops records when a partition has 1,000,000 bytes/),
  ]);
});

test('a collection or an index that is missing, and keys under another secret, are told', async () => {
  const db = mongo.db(databaseOf({ url: MONGO_URL, namespace: namespace.name }));
  await db.dropCollection('timeline');
  await db.collection('users').dropIndex('deleted,sortName');
  expect((await look(['collections'])).problems).toEqual([
    'collections: there is no collection timeline',
    expect.stringMatching(/indexes are missing in users/),
  ]);
  expect((await look(['signing keys'], { AUTH_SECRET: 'another secret, as long as it has to be' })).problems).toEqual([
    expect.stringMatching(/encrypted under another AUTH_SECRET/),
  ]);
});

test('clocks that differ are told with by how much, and which way', async () => {
  const report = await look(['clocks', 'record times'], {}, () => Date.now() - 60_000);
  expect(report.problems).toEqual([
    expect.stringMatching(/^clocks: the clock of MySQL is (59|60)\.\d s ahead of this machine’s$/),
    expect.stringMatching(/^clocks: the clock of MongoDB is (59|60)\.\d s ahead of this machine’s$/),
    ...(report.of('record times')[0]?.level === 'problem' ? [expect.stringMatching(/^record times: /)] : []),
  ]);
});

test('a wrong password and a server that is away keep nobody from looking at the others', async () => {
  const wrong = new URL(MYSQL_URL);
  wrong.username = 'nobody';
  wrong.password = 's3cret-one';
  const report = await look(['databases', 'event log', 'document store', 'outbox'], {
    MYSQL_URL: wrong.href.replace(/\/$/, ''),
    MONGO_URL: 'mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=500',
  });
  expect(report.problems).toEqual([
    expect.stringMatching(/^databases: .* cannot be used: it does not know this user, or the password is wrong$/),
    expect.stringMatching(/^document store: .* cannot be used: nobody listens there$/),
  ]);
  expect(report.of('event log')).toEqual([expect.objectContaining({ level: 'ok' })]);
  expect(report.of('outbox')).toEqual([{ level: 'skipped', what: 'not checked: the databases cannot be used' }]);
  expect(JSON.stringify(report)).not.toContain('s3cret');
});

test('the certificate that MySQL shows is looked at before anybody logs in, and expired ones of the settings are told', async () => {
  const { cert } = certificate(root, 'expired', -10, -1);
  const report = await look(['certificates in settings', 'certificates of servers'], {
    MYSQL_URL: MYSQL_URL.replace('127.0.0.1', 'localhost'),
    MYSQL_TLS: 'on',
    MYSQL_TLS_CA: cert,
  });
  expect(report.problems).toEqual([expect.stringMatching(/MYSQL_TLS_CA: CN=localhost expired on/)]);
  expect(report.of('certificates of servers')).toEqual([
    { level: 'ok', what: expect.stringMatching(/^the certificate of MySQL at localhost:\d+ is good until 20\d\d-/) },
  ]);
});
