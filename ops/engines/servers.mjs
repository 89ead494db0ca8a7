/** The four servers: how each is made ready the first time, started, asked whether it serves, and ended. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contained, inside, run } from './commands.mjs';
import { debianFolder, ferretdbProgram, kafkaFolder, mariadbFolder, stampOf } from './install.mjs';
import { identify } from './processes.mjs';
import { GROUPS, probeKafka, probeMongo, probeMysql } from './probes.mjs';
import { removeFolder } from './removal.mjs';

/** One collector thread: on a few cores G1's helpers cost more than its short pauses are worth. */
const JAVA = ['java', '-Xms128m', '-Xmx768m', '-XX:+UseSerialGC', '-XX:+ExitOnOutOfMemoryError'];
const JAVA_LOG = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.showDateTime=true'];

/**
 * One node that is broker and controller. Indexes and buffers are small: tests make thousands of partitions. Its session is
 * short since a killed broker is let in again only when that is over. It has as few threads as a machine has cores to spare:
 * a request is handed from thread to thread, and waking one that slept costs more than most requests.
 */
const kafkaProperties = ({ kafka, controller }, data) => `process.roles=broker,controller
num.network.threads=1
num.io.threads=2
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=PLAINTEXT://127.0.0.1:${kafka},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${kafka}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=${GROUPS.length}
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=16777216
file.delete.delay.ms=1000
`;

const kafka = {
  async prepare({ cache, data, ports, log, signal }) {
    const properties = join(data, 'kafka.properties');
    const folder = join(data, 'kafka');
    writeFileSync(properties, kafkaProperties(ports, folder));
    if (existsSync(join(folder, 'meta.properties'))) return;
    // Hexadecimal digits are also such of the base64 that Kafka reads: 22 of them.
    const id = randomBytes(11).toString('hex');
    const tool = ['kafka.tools.StorageTool', 'format', '-t', id, '-c', properties];
    await run(contained([...JAVA, ...JAVA_LOG, '-cp', join(kafkaFolder(cache), 'libs/*'), ...tool]), { log, signal });
  },
  command: ({ cache, data }) => [
    ...JAVA,
    ...JAVA_LOG,
    ...['-cp', join(kafkaFolder(cache), 'libs/*'), 'kafka.Kafka', join(data, 'kafka.properties')],
  ],
  probe: ({ ports }) => probeKafka(ports.kafka),
  endSignal: 'SIGTERM',
};

/** Makes a server's first data under another name, which gets its own when it is whole. */
async function firstData({ data }, name, make) {
  const folder = join(data, name);
  if (existsSync(folder)) return;
  const unfinished = `${name}.unfinished`;
  removeFolder(join(data, unfinished));
  await make(`/mnt/${unfinished}`);
  renameSync(join(data, unfinished), folder);
}

/** MySQL, or the MariaDB that stands in for it. Durability is left as it comes: every commit is on disk. */
const mysql = {
  async prepare(place) {
    const { cache, data, log, signal } = place;
    const stand = stampOf(debianFolder(cache))?.mysql === null;
    const root = stand ? mariadbFolder(cache) : debianFolder(cache);
    await firstData(place, 'mysql', (folder) => {
      const initialise = stand
        ? ['mariadb-install-db', '--no-defaults', '--auth-root-authentication-method=normal', '--force']
        : ['mysqld', '--no-defaults', '--initialize-insecure'];
      const command = inside({ root, mnt: data }, [...initialise, '--user=root', `--datadir=${folder}`]);
      return run(contained(command), { log, signal });
    });
  },
  command({ cache, data, ports }) {
    const stand = stampOf(debianFolder(cache))?.mysql === null;
    const options = [
      ...[
        '--no-defaults',
        '--user=root',
        '--datadir=/mnt/mysql',
        '--socket=/mnt/mysql.sock',
        '--pid-file=/mnt/mysql.pid',
      ],
      ...[`--port=${ports.mysql}`, '--bind-address=127.0.0.1', '--max-connections=400'],
      ...['--innodb-buffer-pool-size=256M', '--secure-file-priv='],
    ];
    return stand
      ? inside({ root: mariadbFolder(cache), mnt: data }, ['mariadbd', ...options])
      : inside({ root: debianFolder(cache), mnt: data }, ['mysqld', ...options, '--mysqlx=OFF']);
  },
  probe: ({ ports }) => probeMysql(ports.mysql),
  endSignal: 'SIGTERM',
};

const BIN = '/usr/lib/postgresql/18/bin';
const asPostgres = ({ cache, data }) => ({ root: debianFolder(cache), mnt: data, user: 'postgres' });

/** PostgreSQL takes a killed one that nobody has buried yet for a running one. */
function forgetDeadPostgres(data) {
  const file = join(data, 'postgres', 'postmaster.pid');
  if (existsSync(file) && identify(parseInt(readFileSync(file, 'utf8'), 10)) === undefined) rmSync(file);
}

const postgres = {
  async prepare(place) {
    const { data, log, signal } = place;
    forgetDeadPostgres(data);
    await firstData(place, 'postgres', async (folder) => {
      const owned = ['install', '-d', '-o', 'postgres', '-g', 'postgres', '-m', '700', folder];
      await run(contained(inside({ root: debianFolder(place.cache), mnt: data }, owned)), { log, signal });
      const initialise = [`${BIN}/initdb`, '-D', folder, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-locale'];
      await run(contained(inside(asPostgres(place), initialise)), { log, signal });
    });
  },
  command(place) {
    const settings = {
      port: place.ports.postgres,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: 300,
      shared_preload_libraries: 'pg_cron,pg_documentdb_core,pg_documentdb',
      'cron.database_name': 'postgres',
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    return inside(asPostgres(place), [`${BIN}/postgres`, '-D', '/mnt/postgres', ...options]);
  },
  /** Answers when PostgreSQL does, and has made sure of the extension. */
  probe(place) {
    const url = `postgres://postgres@127.0.0.1:${place.ports.postgres}/postgres`;
    const extension = ['psql', url, '-q', '-c', 'CREATE EXTENSION IF NOT EXISTS documentdb CASCADE'];
    // Its own log: refusals while PostgreSQL starts are no news.
    return run(contained(inside(asPostgres(place), extension)), { log: `${place.log}.probe`, signal: place.signal });
  },
  // A fast shutdown: SIGTERM would wait for clients.
  endSignal: 'SIGINT',
};

const ferretdb = {
  async prepare({ data }) {
    mkdirSync(join(data, 'ferretdb'), { recursive: true });
  },
  command: ({ cache, data, ports }) => [
    ferretdbProgram(cache),
    ...[`--listen-addr=127.0.0.1:${ports.mongo}`, '--debug-addr=-', '--no-auth', '--telemetry=disable'],
    ...[`--postgresql-url=postgres://postgres@127.0.0.1:${ports.postgres}/postgres`, '--log-level=warn'],
    `--state-dir=${join(data, 'ferretdb')}`,
  ],
  probe: ({ ports }) => probeMongo(ports.mongo),
  endSignal: 'SIGTERM',
};

export const SERVERS = { kafka, mysql, postgres, ferretdb };

/** What an engine consists of, in the order of starting; clients talk to the last. */
export const ENGINES = { kafka: ['kafka'], mysql: ['mysql'], mongo: ['postgres', 'ferretdb'] };

/** What really serves, by name and version. */
export function engineNames(cache) {
  const { kafka: kafkaVersion } = stampOf(kafkaFolder(cache)) ?? {};
  const debian = stampOf(debianFolder(cache)) ?? {};
  const sql = debian.mysql === null ? 'MariaDB 10.11 stands in for MySQL' : `MySQL ${debian.mysql}`;
  return { kafka: `Kafka ${kafkaVersion}`, mysql: sql, mongo: 'FerretDB, MongoDB’s protocol over PostgreSQL' };
}
