/** What the three engines are and how they are reached. Messages name variables and never repeat a value: it may be secret. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TlsOptions } from './tls.js';

export interface MysqlSettings {
  /** `mysql://user:password@host:3306` */
  readonly url: string;
  readonly tls?: TlsOptions;
  readonly poolSize: number;
}

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly tls?: TlsOptions;
  readonly sasl?: {
    readonly mechanism: (typeof SASL_MECHANISMS)[number];
    readonly username: string;
    readonly password: string;
  };
  /** Of topics that are created; the broker's default when absent. */
  readonly replicationFactor?: number;
}

export interface MongoSettings {
  /** `mongodb://user:password@host:27017/database` */
  readonly url: string;
  readonly tls?: TlsOptions;
}

/** SQLite files in a folder of one process, or servers that many processes share: never some of each. */
export type EngineSettings =
  | { readonly kind: 'embedded'; readonly dataDir: string }
  | {
      readonly kind: 'servers';
      /** Keeps several systems on the same servers apart; empty for none. */
      readonly namespace: string;
      readonly mysql: MysqlSettings;
      readonly kafka: KafkaSettings;
      readonly mongo: MongoSettings;
    };

type ServerSettings = Extract<EngineSettings, { kind: 'servers' }>;

const MYSQL_EXAMPLE = 'mysql://tributary:secret@127.0.0.1:3306';
const KAFKA_EXAMPLE = '127.0.0.1:9092,127.0.0.1:9093';
const MONGO_EXAMPLE = 'mongodb://127.0.0.1:27017/tributary';

const SERVERS = { MYSQL_URL: MYSQL_EXAMPLE, KAFKA_BROKERS: KAFKA_EXAMPLE, MONGO_URL: MONGO_EXAMPLE } as const;

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) <= 65_535;

/** `host:port`, `[::1]:port`. */
function isHostAndPort(text: string): boolean {
  const [, host, port] = /^([\w.-]+|\[[\da-fA-F:.]+\]):(\d+)$/.exec(text) ?? [];
  return host !== undefined && port !== undefined && isPort(port);
}

/** What is wrong with a MYSQL_URL; undefined when nothing is. */
export function wrongMysqlUrl(value: string): string | undefined {
  const example = `for example ${MYSQL_EXAMPLE}`;
  if (!value.startsWith('mysql://')) return `must begin with mysql://, ${example}`;
  if (!URL.canParse(value))
    return `is not an address; write / @ : and # of a password as %2F %40 %3A and %23, ${example}`;
  const { hostname, username, pathname, search, hash } = new URL(value);
  if (hostname === '') return `names no host, ${example}`;
  if (username === '') return `names no user, ${example}`;
  if (pathname !== '' && pathname !== '/') {
    return `must not name a database: there are four, tributary_user and so on, with NAMESPACE in front; ${example}`;
  }
  if (search !== '' || hash !== '') return `takes no options after ?; TLS is MYSQL_TLS, ${example}`;
  return undefined;
}

/** What is wrong with KAFKA_BROKERS; undefined when nothing is. */
export function wrongBrokers(value: string): string | undefined {
  const example = `for example ${KAFKA_EXAMPLE}`;
  const brokers = brokersOf(value);
  if (value.includes('://')) return `takes no scheme: host:port, several with commas between, ${example}`;
  if (brokers.length === 0 || !brokers.every(isHostAndPort)) {
    return `must be host:port, several with commas between, ${example}`;
  }
  return undefined;
}

const brokersOf = (value: string): string[] =>
  value
    .split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '');

/** Several hosts may stand in it, which no URL parser takes. */
const MONGO = /^mongodb(\+srv)?:\/\/(?:[^@/?#]*@)?([^@/?#]*)(?:\/([^?#]*))?(?:\?[^#]*)?$/;

/** What is wrong with a MONGO_URL; undefined when nothing is. */
export function wrongMongoUrl(value: string): string | undefined {
  const example = `for example ${MONGO_EXAMPLE}`;
  if (!/^mongodb(\+srv)?:\/\//.test(value)) return `must begin with mongodb:// or mongodb+srv://, ${example}`;
  const [, srv, hosts = '', database = ''] = MONGO.exec(value) ?? [];
  const isHost = (host: string): boolean => isHostAndPort(host) || /^([\w.-]+|\[[\da-fA-F:.]+\])$/.test(host);
  if (!hosts.split(',').every(isHost)) {
    return `names no host, or not as host:port; write / @ : and # of a password as %2F %40 %3A and %23, ${example}`;
  }
  if (srv !== undefined && /[,:]/.test(hosts)) return `takes one host without a port after mongodb+srv://, ${example}`;
  if (!/^[\w-]{0,38}$/.test(database)) {
    return `names a database that is not of up to 38 letters, digits, _ and -, ${example}`;
  }
  return undefined;
}

/** What is wrong with the address of a subgraph; undefined when nothing is. */
export function wrongSubgraphUrl(value: string): string | undefined {
  const example = 'for example http://order-api:4003';
  if (!/^https?:\/\//.test(value) || !URL.canParse(value)) return `must be an http:// or https:// address, ${example}`;
  const { username, password, pathname, search, hash } = new URL(value);
  if (username !== '' || password !== '') return `must not name a user or a password, ${example}`;
  if (pathname !== '/' || search !== '' || hash !== '')
    return `must end after host and port: /graphql is added, ${example}`;
  return undefined;
}

type Given = Readonly<Record<string, string | undefined>>;
type Report = (variable: string, wrong: string) => void;

/** Given without their server, these would make people believe in a protection that is not there. */
const PROTECTIONS = [
  ...['MYSQL_TLS', 'MYSQL_TLS_CA'].map((name) => [name, 'MYSQL_URL'] as const),
  ...['TLS', 'TLS_CA', 'TLS_CERT', 'TLS_KEY', 'SASL_MECHANISM', 'SASL_USERNAME', 'SASL_PASSWORD'].map(
    (name) => [`KAFKA_${name}`, 'KAFKA_BROKERS'] as const,
  ),
  ...['MONGO_TLS', 'MONGO_TLS_CA'].map((name) => [name, 'MONGO_URL'] as const),
];

/**
 * The engines as the environment has them; what does not fit together, and what is wrong with certificates and keys, is
 * reported. Files are read here, so that one that is missing or unreadable ends the start and not the first connection.
 */
export function readEngines(given: Given, dataDir: string, report: Report): EngineSettings {
  const servers = Object.entries(SERVERS);
  const set = servers.filter(([name]) => given[name] !== undefined).map(([name]) => name);
  for (const [variable, server] of PROTECTIONS) {
    if (given[server] !== undefined || given[variable] === undefined || given[variable] === 'off') continue;
    report(variable, `protects nothing without ${server}, for example ${SERVERS[server]}`);
  }
  if (set.length === 0) return { kind: 'embedded', dataDir };
  for (const [name, example] of servers) {
    if (given[name] !== undefined) continue;
    report(
      name,
      `is missing beside ${set.join(' and ')}: all three engines are servers or none is, for example ${example}`,
    );
  }
  const tls = tlsReader(given, report);
  const sasl = readSasl(given, report);
  const replication = given['KAFKA_REPLICATION'];
  const [mysqlTls, kafkaTls, mongoTls] = [tls('MYSQL'), tls('KAFKA'), tls('MONGO')];
  return {
    kind: 'servers',
    namespace: given['NAMESPACE'] ?? '',
    mysql: {
      url: given['MYSQL_URL'] ?? '',
      poolSize: Number(given['MYSQL_POOL_SIZE'] ?? DEFAULT_POOL_SIZE),
      ...(mysqlTls && { tls: mysqlTls }),
    },
    kafka: {
      brokers: brokersOf(given['KAFKA_BROKERS'] ?? ''),
      ...(kafkaTls && { tls: kafkaTls }),
      ...(sasl && { sasl }),
      ...(replication !== undefined && { replicationFactor: Number(replication) }),
    },
    mongo: { url: given['MONGO_URL'] ?? '', ...(mongoTls && { tls: mongoTls }) },
  };
}

export const DEFAULT_POOL_SIZE = 10;

function readSasl(given: Given, report: Report): KafkaSettings['sasl'] {
  const names = ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const;
  const examples = {
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'tributary',
    KAFKA_SASL_PASSWORD: 'secret',
  };
  const set = names.filter((name) => given[name] !== undefined);
  if (set.length === 0) return undefined;
  for (const name of names) {
    if (given[name] === undefined)
      report(name, `is missing beside ${set.join(' and ')}, for example ${examples[name]}`);
  }
  const [mechanism = '', username = '', password = ''] = names.map((name) => given[name]);
  return { mechanism: mechanism as (typeof SASL_MECHANISMS)[number], username, password };
}

/** Answers the TLS options of a server, or undefined where it is not on. */
const tlsReader =
  (given: Given, report: Report) =>
  (server: 'MYSQL' | 'KAFKA' | 'MONGO'): TlsOptions | undefined => {
    const on = given[`${server}_TLS`] === 'on';
    const pem = (part: 'CA' | 'CERT' | 'KEY'): string | undefined => {
      const variable = `${server}_TLS_${part}`;
      const file = given[variable];
      if (file === undefined) return undefined;
      if (!on) report(variable, `has no effect without ${server}_TLS=on`);
      return readPem(file, part, (wrong) => report(variable, wrong));
    };
    const [ca, cert, key] = [pem('CA'), pem('CERT'), pem('KEY')];
    const [certGiven, keyGiven] = [given[`${server}_TLS_CERT`], given[`${server}_TLS_KEY`]];
    if (certGiven !== undefined && keyGiven === undefined) {
      report(`${server}_TLS_KEY`, `is missing beside ${server}_TLS_CERT, for example /run/secrets/client.key`);
    }
    if (keyGiven !== undefined && certGiven === undefined) {
      report(`${server}_TLS_CERT`, `is missing beside ${server}_TLS_KEY, for example /run/secrets/client.pem`);
    }
    if (cert !== undefined && key !== undefined && !new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      report(`${server}_TLS_KEY`, `is not the key of the certificate in ${server}_TLS_CERT`);
    }
    if (!on) return undefined;
    return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
  };

/** The text of a PEM file; undefined, after a report, where it cannot be used. */
function readPem(file: string, part: 'CA' | 'CERT' | 'KEY', report: (wrong: string) => void): string | undefined {
  const what = part === 'KEY' ? 'an unencrypted private key' : 'a certificate';
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    report(`the file ${file} cannot be read (${code}); it must hold ${what} as PEM, for example /run/secrets/ca.pem`);
    return undefined;
  }
  try {
    if (part === 'KEY') createPrivateKey(text);
    else new X509Certificate(text);
    return text;
  } catch {
    const label = part === 'KEY' ? 'PRIVATE KEY' : 'CERTIFICATE';
    report(
      `the file ${file} holds no ${what.replace(/^an? /, '')} as PEM; it begins with, for example, -----BEGIN ${label}-----`,
    );
    return undefined;
  }
}

/** The servers for people and logs: without users, passwords and options. */
export function serverAddresses({ mysql, kafka, mongo }: ServerSettings): Record<'mysql' | 'kafka' | 'mongo', string> {
  const [, srv = '', hosts = '', database = ''] = MONGO.exec(mongo.url) ?? [];
  return {
    mysql: `mysql://${new URL(mysql.url).host}`,
    kafka: kafka.brokers.join(','),
    mongo: `mongodb${srv}://${hosts}${database === '' ? '' : `/${database}`}`,
  };
}
