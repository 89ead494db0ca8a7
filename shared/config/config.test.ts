import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ConfigError, readConfig, SETTINGS } from './config.js';
import { serverAddresses } from './engines.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-config-'));
const file = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SERVERS = {
  MYSQL_URL: 'mysql://shop:s3cret@db.example:3307',
  KAFKA_BROKERS: 'one.example:9092, two.example:9092',
  MONGO_URL: 'mongodb://reader:s3cret@a.example:27017,b.example:27018/shop?replicaSet=rs0',
};

/** The lines that a start with these settings ends with. */
function mistakes(env: Readonly<Record<string, string>>): string[] {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
}

test('nothing set means embedded engines in .data', () => {
  expect(readConfig({}).engines).toEqual({ kind: 'embedded', dataDir: expect.stringMatching(/\.data$/) });
});

test('an empty variable counts as not set', () => {
  const empty = Object.fromEntries(SETTINGS.map((name) => [name, '']));
  expect(readConfig(empty)).toEqual(readConfig({}));
});

test('three addresses mean servers, with everything that belongs to them', () => {
  const { engines } = readConfig({
    ...SERVERS,
    NAMESPACE: 'staging-2',
    MYSQL_POOL_SIZE: '20',
    KAFKA_REPLICATION: '3',
    KAFKA_TLS: 'on',
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: 'shop',
    KAFKA_SASL_PASSWORD: 's3cret',
  });
  expect(engines).toEqual({
    kind: 'servers',
    namespace: 'staging-2',
    mysql: { url: SERVERS.MYSQL_URL, poolSize: 20 },
    kafka: {
      brokers: ['one.example:9092', 'two.example:9092'],
      tls: {},
      sasl: { mechanism: 'scram-sha-512', username: 'shop', password: 's3cret' },
      replicationFactor: 3,
    },
    mongo: { url: SERVERS.MONGO_URL },
  });
});

test('addresses for people bear no user, no password and no options', () => {
  const { engines } = readConfig(SERVERS);
  if (engines.kind !== 'servers') throw new Error('not servers');
  expect(serverAddresses(engines)).toEqual({
    mysql: 'mysql://db.example:3307',
    kafka: 'one.example:9092,two.example:9092',
    mongo: 'mongodb://a.example:27017,b.example:27018/shop',
  });
});

test.each([
  [{ MYSQL_URL: SERVERS.MYSQL_URL }, ['KAFKA_BROKERS', 'MONGO_URL']],
  [{ KAFKA_BROKERS: SERVERS.KAFKA_BROKERS, MONGO_URL: SERVERS.MONGO_URL }, ['MYSQL_URL']],
])('some servers and some embedded engines are refused, a line per missing address', (env, missing) => {
  const lines = mistakes(env);
  expect(lines.map((line) => line.split(':')[0])).toEqual(missing);
  for (const line of lines)
    expect(line).toMatch(/is missing beside .*: all three engines are servers or none is, for example \S+$/);
});

test.each([
  ['MYSQL_URL', 'postgres://a@b', 'must begin with mysql://'],
  ['MYSQL_URL', 'mysql://shop:s3cret/1@db', 'is not an address; write /'],
  ['MYSQL_URL', 'mysql://shop:s3cret@db:99999', 'is not an address'],
  ['MYSQL_URL', 'mysql://db:3306', 'names no user'],
  ['MYSQL_URL', 'mysql://shop:s3cret@db/tributary', 'must not name a database'],
  ['MYSQL_URL', 'mysql://shop:s3cret@db?ssl=true', 'takes no options after ?; TLS is MYSQL_TLS'],
  ['MYSQL_POOL_SIZE', '1', 'must be a number of connections, 2 to 200'],
  ['MYSQL_TLS', 'yes', 'must be on or off'],
  ['KAFKA_BROKERS', 'one.example', 'must be host:port'],
  ['KAFKA_BROKERS', 'one.example:0', 'must be host:port'],
  ['KAFKA_BROKERS', 'kafka://one.example:9092', 'takes no scheme'],
  ['KAFKA_BROKERS', ',', 'must be host:port'],
  ['KAFKA_REPLICATION', '0', 'must be a number of copies, 1 to 9'],
  ['MONGO_URL', 'http://db', 'must begin with mongodb:// or mongodb+srv://'],
  ['MONGO_URL', 'mongodb://reader:s3cret@/shop', 'names no host'],
  ['MONGO_URL', 'mongodb://reader:s3/cret@db/shop', 'names no host'],
  ['MONGO_URL', 'mongodb+srv://db.example:27017', 'takes one host without a port'],
  ['MONGO_URL', 'mongodb://db/my.shop', 'names a database that is not of'],
  ['NAMESPACE', 'Staging', 'must be up to 32 lower-case letters'],
  ['USER_URL', 'user-api:4001', 'must be an http:// or https:// address'],
  ['QUERY_URL', 'http://query-api:4005/graphql', 'must end after host and port'],
  ['ORDER_PORT', '70000', 'must be a port, 0 to 65535'],
  ['PROJECTOR_PORT', 'x', 'must be a port, 0 to 65535'],
  ['WALLET_CORE', 'foreign', 'must be own or external'],
  ['LOG_LEVEL', 'loud', 'must be info, fatal, error, warn, debug, trace or silent'],
  ['IDENTITY_SECRET', 'a-s3cret', 'must be 32 characters or more'],
  ['START_TIMEOUT_MS', '-1', 'must be whole milliseconds, 0 to 3600000'],
])('%s=%s is told in one line: what is wrong, and an example, but never the value', (name, value, wrong) => {
  const lines = mistakes({ ...SERVERS, [name]: value });
  expect(lines).toEqual([expect.stringContaining(`${name}: ${wrong}`)]);
  expect(lines[0]).toContain('for example ');
  expect(lines[0]).not.toContain('s3cret');
});

test('many mistakes are told at once, in the order of the settings', () => {
  const lines = mistakes({ LOG_LEVEL: 'loud', MYSQL_URL: 'x', HOST: '0.0.0.0', AUTH_MODE: 'demo', KAFKA_TLS: 'on' });
  expect(lines.map((line) => line.split(':')[0])).toEqual([
    'MYSQL_URL',
    'KAFKA_BROKERS',
    'KAFKA_TLS',
    'MONGO_URL',
    'HOST',
    'LOG_LEVEL',
  ]);
});

test.each(['0.0.0.0', '::', '192.168.1.5', 'shop.example'])(
  'HOST=%s is refused in demo mode unless somebody says that it is meant',
  (host) => {
    expect(mistakes({ HOST: host })).toEqual([expect.stringMatching(/^HOST: must be 127\.0\.0\.1.*DEMO_EXPOSED=on/)]);
    expect(readConfig({ HOST: host, DEMO_EXPOSED: 'on' }).host).toBe(host);
  },
);

test('where people log in any HOST will do, and nothing is exposed', () => {
  const { host, demoExposed } = readConfig({ HOST: '0.0.0.0', AUTH_MODE: 'required', DEMO_EXPOSED: 'on' });
  expect([host, demoExposed]).toEqual(['0.0.0.0', false]);
});

test.each([
  [{}, 'demo', false],
  [SERVERS, 'required', true],
  [{ ...SERVERS, AUTH_MODE: 'demo' }, 'demo', false],
  [{ AUTH_MODE: 'required' }, 'required', true],
  [{ AUTH_MODE: 'required', REST_AUTH: 'off' }, 'required', false],
  [{ REST_AUTH: 'on' }, 'demo', true],
])('with %o mode and REST follow from one another', (env, mode, rest) => {
  expect(readConfig(env).auth).toMatchObject({ mode, rest });
});

test('another issuer is named with its audience, or not at all', () => {
  const OIDC_ISSUER = 'https://login.example/realms/shop';
  expect(mistakes({ OIDC_ISSUER })).toEqual([expect.stringMatching(/^OIDC_AUDIENCE: is missing.*for example/)]);
  for (const name of ['OIDC_AUDIENCE', 'OIDC_JWKS_URL']) {
    expect(mistakes({ [name]: 'https://x.example/' })).toEqual([
      expect.stringContaining(`${name}: is about an issuer`),
    ]);
  }
  expect(readConfig({}).auth.oidc).toBeUndefined();
  expect(readConfig({ OIDC_ISSUER, OIDC_AUDIENCE: 'shop' }).auth.oidc).toEqual({
    issuer: OIDC_ISSUER,
    audience: 'shop',
    userClaim: 'sub',
    roleClaim: 'role',
    adminRole: 'ADMIN',
  });
  for (const [issuer, good] of [
    ['http://login.example', false],
    ['http://127.0.0.1:8080', true],
    ['https://user:s3cret@login.example', false],
    ['nonsense', false],
  ] as const) {
    expect([issuer, mistakes({ OIDC_ISSUER: issuer, OIDC_AUDIENCE: 'shop' }).length === 0]).toEqual([issuer, good]);
  }
});

test('a gateway finds the subgraphs on its own machine unless it is told where they are', () => {
  const { subgraphUrls } = readConfig({
    HOST: '0.0.0.0',
    DEMO_EXPOSED: 'on',
    ORDER_PORT: '5003',
    USER_URL: 'http://user-api:4001/',
  });
  expect(subgraphUrls).toEqual({
    user: 'http://user-api:4001',
    product: 'http://127.0.0.1:4002',
    order: 'http://127.0.0.1:5003',
    balance: 'http://127.0.0.1:4004',
    query: 'http://127.0.0.1:4005',
  });
});

test.each([
  ['MYSQL_TLS', 'on', 'MYSQL_URL'],
  ['MYSQL_TLS_CA', '/ca.pem', 'MYSQL_URL'],
  ['KAFKA_SASL_PASSWORD', 's3cret', 'KAFKA_BROKERS'],
  ['MONGO_TLS', 'on', 'MONGO_URL'],
])('%s without its server is refused: it would protect nothing', (name, value, server) => {
  expect(mistakes({ [name]: value })).toEqual([
    expect.stringContaining(`${name}: protects nothing without ${server}, for example `),
  ]);
});

test('half of what SASL needs is refused', () => {
  expect(mistakes({ ...SERVERS, KAFKA_SASL_USERNAME: 'shop' })).toEqual([
    'KAFKA_SASL_MECHANISM: is missing beside KAFKA_SASL_USERNAME, for example scram-sha-512',
    'KAFKA_SASL_PASSWORD: is missing beside KAFKA_SASL_USERNAME, for example secret',
  ]);
});

describe('certificates and keys', () => {
  beforeAll(() => {
    for (const name of ['one', 'two']) {
      const args = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tributary.example'.split(' ');
      execFileSync('openssl', [...args, '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)], {
        stdio: 'ignore',
      });
    }
    writeFileSync(file('text'), 'not PEM at all');
  });

  const kafka = (env: Readonly<Record<string, string>>): string[] => mistakes({ ...SERVERS, KAFKA_TLS: 'on', ...env });

  test('are read at the start', () => {
    const { engines } = readConfig({
      ...SERVERS,
      MONGO_TLS: 'on',
      KAFKA_TLS: 'on',
      KAFKA_TLS_CA: file('one.pem'),
      KAFKA_TLS_CERT: file('one.pem'),
      KAFKA_TLS_KEY: file('one.key'),
    });
    const certificate = expect.stringContaining('BEGIN CERTIFICATE');
    expect(engines).toMatchObject({
      kafka: { tls: { ca: certificate, cert: certificate, key: expect.stringContaining('PRIVATE KEY') } },
      mongo: { tls: {} },
    });
    expect(engines).not.toHaveProperty('mysql.tls');
  });

  test.each(['MYSQL_TLS_CA', 'KAFKA_TLS_CA', 'MONGO_TLS_CA'])('%s that cannot be read is told', (name) => {
    const server = name.split('_')[0] ?? '';
    expect(mistakes({ ...SERVERS, [`${server}_TLS`]: 'on', [name]: file('nowhere') })).toEqual([
      `${name}: the file ${file('nowhere')} cannot be read (ENOENT); it must hold a certificate as PEM, for example /run/secrets/ca.pem`,
    ]);
  });

  test('a file that is not PEM is told', () => {
    expect(kafka({ KAFKA_TLS_CA: file('text') })).toEqual([
      expect.stringMatching(/^KAFKA_TLS_CA: the file .* holds no certificate as PEM.*-----BEGIN CERTIFICATE-----$/),
    ]);
    expect(kafka({ KAFKA_TLS_CERT: file('one.pem'), KAFKA_TLS_KEY: file('one.pem') })).toEqual([
      expect.stringMatching(/^KAFKA_TLS_KEY: the file .* holds no unencrypted private key as PEM/),
    ]);
  });

  test('a certificate without its key, a key without its certificate, and a key of another one are told', () => {
    expect(kafka({ KAFKA_TLS_CERT: file('one.pem') })).toEqual([
      expect.stringContaining('KAFKA_TLS_KEY: is missing beside KAFKA_TLS_CERT'),
    ]);
    expect(kafka({ KAFKA_TLS_KEY: file('one.key') })).toEqual([
      expect.stringContaining('KAFKA_TLS_CERT: is missing beside KAFKA_TLS_KEY'),
    ]);
    expect(kafka({ KAFKA_TLS_CERT: file('one.pem'), KAFKA_TLS_KEY: file('two.key') })).toEqual([
      'KAFKA_TLS_KEY: is not the key of the certificate in KAFKA_TLS_CERT',
    ]);
  });

  test('a certificate for a connection without TLS is refused', () => {
    expect(mistakes({ ...SERVERS, MYSQL_TLS_CA: file('one.pem') })).toEqual([
      'MYSQL_TLS_CA: has no effect without MYSQL_TLS=on',
    ]);
  });
});

test('what clients may do is narrow where they log in, wide in demo mode, and as it is set in either', () => {
  expect(readConfig({ AUTH_MODE: 'required' }).limits).toEqual({
    introspection: false,
    allowedOrigins: [],
    trustedProxies: 0,
    requestTimeoutMs: 30_000,
    maxCost: 100_000,
    rates: { store: 'memory', perClient: 6_000, perSubgraph: 30_000 },
    socketsPerAddress: 200,
    operationsPerSocket: 100,
    connectionsPerAddress: 500,
  });
  expect(readConfig({}).limits).toMatchObject({ introspection: true, rates: { perClient: 1_000_000 } });
  const set = {
    INTROSPECTION: 'off',
    RATE_LIMIT_CLIENT: '7',
    ALLOWED_ORIGINS: 'https://a.example, http://b.example:8080',
  };
  expect(readConfig(set).limits).toMatchObject({
    introspection: false,
    allowedOrigins: ['https://a.example', 'http://b.example:8080'],
    rates: { perClient: 7 },
  });
  expect(readConfig({ RATE_LIMIT: 'off' }).limits.rates).toBeUndefined();
});

test.each([
  ['ALLOWED_ORIGINS', 'https://shop.example/'],
  ['ALLOWED_ORIGINS', '*'],
  ['ALLOWED_ORIGINS', 'https://a.example,shop.example'],
  ['RATE_LIMIT_STORE', 'mongodb'],
  ['TRUSTED_PROXIES', '-1'],
  ['RATE_LIMIT_CLIENT', '0'],
])('%s=%s is refused', (name, value) => {
  expect(mistakes({ [name]: value })).toEqual([expect.stringMatching(`^${name}: .*for example`)]);
});
