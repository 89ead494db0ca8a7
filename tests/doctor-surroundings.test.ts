/** What is around the data: settings, processes, mail server, issuer, certificates. Each is broken in turn. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { SMTPServer } from 'smtp-server';
import { AREAS } from '../app/doctor/check.js';
import { nodeFinding, room } from '../app/doctor/checks/machine.js';
import { CHECKS, examine } from '../app/doctor/doctor.js';
import { counted, reportJson, reportText } from '../app/doctor/report.js';
import { certificate, doctor } from './doctor-tools.js';
import { freePorts } from './ports.js';
import { buildApp, portSettings, startProcess } from './process.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-doctor-around-'));
const nowhere = join(root, 'nothing');
const open: { close(): unknown }[] = [];
/** Nobody listens on port 1. */
const AWAY = {
  MYSQL_URL: 'mysql://shop:s3cret-my@127.0.0.1:1',
  KAFKA_BROKERS: '127.0.0.1:1',
  MONGO_URL: 'mongodb://shop:s3cret-mo@127.0.0.1:1/?serverSelectionTimeoutMS=500',
  IDENTITY_SECRET: 'all processes of this test share it',
};

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(server);
  return String((server.address() as AddressInfo).port);
}

const http = (answer: RequestListener): Promise<string> => listening(createHttpServer(answer));
const json =
  (status: number, body: object): RequestListener =>
  (_, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

describe('settings', () => {
  test('every mistake is told at once, and the rest is examined all the same', async () => {
    const env = { DATA_DIR: nowhere, GATEWAY_PORT: 'four thousand', LOG_LEVEL: 'loud', AUTH_MODE: 'demo' };
    const report = await doctor({ ...(await portSettings()), ...env });
    expect(report.problems).toEqual([
      expect.stringMatching(/^settings: GATEWAY_PORT: must be a port/),
      expect.stringMatching(/^settings: LOG_LEVEL: must be info/),
    ]);
    expect(report.of('data folder')).toContainEqual({ level: 'ok', what: `${nowhere} will be made` });
  });

  test('while it is unclear which stores are meant, none is looked at', async () => {
    const report = await doctor({ MYSQL_URL: 'mysql://shop:s3cret@db:3306', NAMESPACE: 'Not so' });
    expect(report.problems).toHaveLength(3);
    expect(report.of('databases')).toEqual([
      { level: 'skipped', what: 'not checked: the settings have to be right first' },
    ]);
    expect(JSON.stringify(report)).not.toContain('s3cret');
  });

  test.each<[string, Readonly<Record<string, string>>, 'problem' | 'warning', RegExp]>([
    [
      'access',
      { HOST: '0.0.0.0', DEMO_EXPOSED: 'on' },
      'warning',
      /whoever reaches 0\.0\.0\.0 is the demo administrator/,
    ],
    ['access', { ...AWAY, AUTH_MODE: 'demo' }, 'warning', /demo mode on servers/],
    ['secrets', { ...AWAY, IDENTITY_SECRET: '' }, 'warning', /IDENTITY_SECRET is not set/],
    ['verification', { AUTH_MODE: 'required' }, 'problem', /no customer can order/],
    ['links', { SMTP_URL: 'smtp://127.0.0.1:1' }, 'warning', /which nobody else can open/],
  ])('%s with %j', async (check, settings, level, words) => {
    const report = await doctor({ DATA_DIR: nowhere, ...settings }, [check]);
    expect(report.of(check)).toEqual([
      { level, what: expect.stringMatching(words), todo: expect.stringMatching(/^(Set|Give) /) },
    ]);
  });

  test('an issuer of tokens has to be there, to be the one that is named, and to give keys', async () => {
    const [away = 0] = await freePorts(1);
    let port = '';
    const issuer = await http((request, response) =>
      json(
        200,
        request.url === '/keys'
          ? { keys: [] }
          : { issuer: request.url?.includes('right') ? `http://127.0.0.1:${port}/right` : 'x' },
      )(request, response),
    );
    port = issuer;
    const at = (path: string, more: object = {}) =>
      doctor({ DATA_DIR: nowhere, OIDC_AUDIENCE: 'shop', OIDC_ISSUER: `http://127.0.0.1:${port}/${path}`, ...more }, [
        'issuer',
      ]);
    expect((await at('right')).problems).toEqual([]);
    expect((await at('other')).problems).toEqual([expect.stringContaining('calls itself something else')]);
    expect((await at('other', { OIDC_JWKS_URL: `http://127.0.0.1:${port}/keys` })).problems).toEqual([]);
    expect((await at('other', { OIDC_JWKS_URL: `http://127.0.0.1:${port}/none` })).problems).toEqual([
      expect.stringContaining('gives no keys'),
    ]);
    expect((await at('other', { OIDC_JWKS_URL: `http://127.0.0.1:${away}/keys` })).problems).toEqual([
      expect.stringMatching(/at http:\/\/127\.0\.0\.1:\d+\/keys gives no keys: nobody listens there$/),
    ]);
  });
});

test('servers that are away are told one by one, in words, and hide nothing else', async () => {
  const report = await doctor({ ...AWAY, ...(await portSettings()), VERIFIED_ORDERS: 'off' });
  expect(report.problems).toEqual([
    'databases: MySQL at mysql://127.0.0.1:1 cannot be used: nobody listens there',
    'event log: Kafka at 127.0.0.1:1 cannot be used as an event log: nobody listens there',
    'document store: MongoDB at mongodb://127.0.0.1:1 cannot be used: nobody listens there',
  ]);
  expect(report.of('migrations')).toEqual([{ level: 'skipped', what: 'not checked: the databases cannot be used' }]);
  expect(report.of('node')).toEqual([expect.objectContaining({ level: 'ok' })]);
  const said = JSON.stringify(report);
  for (const secret of ['s3cret', AWAY.IDENTITY_SECRET]) expect(said).not.toContain(secret);
});

describe('machine', () => {
  test('a Node that is too old is told', () => {
    expect(nodeFinding('18.20.4')).toMatchObject({ level: 'problem', what: 'Node 18.20.4 is too old' });
    expect(nodeFinding('20.18.9')).toMatchObject({ level: 'problem' });
    expect([nodeFinding('20.19.0'), nodeFinding('22.1.0')].map(({ level }) => level)).toEqual(['ok', 'ok']);
  });

  test('little room is a warning, next to none a problem', () => {
    expect([50e6, 500e6, 50e9].map((bytes) => room(bytes).level)).toEqual(['problem', 'warning', 'ok']);
  });

  test('a data folder that is none is told', async () => {
    const report = await doctor({ DATA_DIR: 'package.json' }, ['data folder']);
    expect(report.problems).toEqual([expect.stringMatching(/package\.json is no folder/)]);
  });
});

describe('processes', () => {
  const here = async (settings: Readonly<Record<string, string>>, names = ['ports']) =>
    doctor({ DATA_DIR: nowhere, ...(await portSettings()), ...settings }, names);

  test('a port that somebody else has is told, whatever it speaks', async () => {
    const web = await http(json(404, {}));
    const other = await listening(createServer((socket) => socket.end('220 hello\r\n')));
    const report = await here({ GATEWAY_PORT: web, USER_PORT: other });
    expect(report.problems).toEqual([
      `ports: http://127.0.0.1:${web} is taken by another program, so gateway cannot start`,
      `ports: http://127.0.0.1:${other} is taken by another program, so user-api cannot start`,
    ]);
  });

  test('of a process that is not ready it is told what it lacks, and what does not run beside it', async () => {
    const checks = [
      { name: 'database', ok: false, detail: 'The database does not answer.' },
      { name: 'relay', ok: true },
    ];
    const order = await http(json(503, { service: 'order-api', status: 'unavailable', checks }));
    const report = await here({ ORDER_PORT: order });
    expect(report.problems).toEqual([
      `ports: order-api at http://127.0.0.1:${order} runs and is not ready; it lacks: database (The database does not answer.)`,
    ]);
    expect(report.warnings).toHaveLength(6);
    expect(report.warnings).toContainEqual(expect.stringMatching(/gateway does not run at/));
  });

  test('a process on the port of another, and one that is not where the settings say, are told', async () => {
    const port = await http(json(200, { service: 'user-api', status: 'ok', checks: [] }));
    const [away = 0] = await freePorts(1);
    const report = await here({ ORDER_PORT: port, QUERY_URL: `http://127.0.0.1:${away}` });
    expect(report.problems).toEqual([
      `ports: http://127.0.0.1:${port} is user-api, not order-api`,
      `ports: query-api is not at http://127.0.0.1:${away}`,
    ]);
  });

  test('a subgraph that was started with another secret is told', async () => {
    const port = await http((request, response) =>
      request.url === '/readyz'
        ? json(200, { service: 'user-api', status: 'ok', checks: [] })(request, response)
        : json(401, {})(request, response),
    );
    const report = await here({ USER_PORT: port, IDENTITY_SECRET: AWAY.IDENTITY_SECRET }, ['shared secret']);
    expect(report.problems).toEqual([expect.stringMatching(/user-api runs with another IDENTITY_SECRET/)]);
  });

  test('a supergraph that is not there, is none, or is not the one that is served', async () => {
    const file = join(root, 'supergraph.graphql');
    const look = (settings: Readonly<Record<string, string>> = {}) =>
      here({ SUPERGRAPH: file, ...settings }, ['supergraph']);
    expect((await look()).problems).toEqual([expect.stringMatching(/cannot be read/)]);
    writeFileSync(file, 'type Query { me: String }');
    expect((await look()).problems).toEqual([expect.stringMatching(/is no supergraph that can be served/)]);
    writeFileSync(file, readFileSync('supergraph.graphql'));
    expect((await look()).of('supergraph')).toEqual([{ level: 'ok', what: `the supergraph ${file} is sound` }]);
    const checks = [{ name: 'supergraph', ok: true, detail: 'another' }];
    const gateway = await http(json(200, { service: 'gateway', status: 'ok', checks }));
    expect((await look({ GATEWAY_PORT: gateway })).warnings).toEqual([
      expect.stringMatching(/serves another supergraph/),
    ]);
  });
});

describe('mail server', () => {
  const look = (SMTP_URL: string) => doctor({ DATA_DIR: nowhere, SMTP_URL }, ['mail server']);
  const smtp = async (): Promise<string> => {
    const server = new SMTPServer({
      allowInsecureAuth: true,
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onAuth: ({ password }, _, done) => done(password === 'right' ? null : new Error('no'), { user: 'shop' }),
    });
    open.push({ close: () => server.close() });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  };

  test('it has to be there and to let us in', async () => {
    const address = await smtp();
    expect((await look(`smtp://${address}`)).problems).toEqual([]);
    expect((await look(`smtp://shop:right@${address}`)).problems).toEqual([]);
    const wrong = await look(`smtp://shop:wrong-one@${address}`);
    expect(wrong.problems).toEqual([
      `mail server: the mail server at ${address} cannot be used: it does not know this user, or the password is wrong`,
    ]);
    expect(JSON.stringify(wrong)).not.toContain('wrong-one');
    expect((await look('smtp://127.0.0.1:1')).problems).toEqual([expect.stringMatching(/nobody listens there/)]);
  });
});

describe('certificates', () => {
  const tls = (file: string) => ({ ...AWAY, MYSQL_TLS: 'on', MYSQL_TLS_CA: file });
  const NAME = 'certificates in settings';

  test.each<[number, number, string, RegExp]>([
    [-30, -1, 'problem', /MYSQL_TLS_CA: CN=localhost expired on 20\d\d-\d\d-\d\d/],
    [5, 90, 'problem', /is valid from .* only/],
    [-30, 20, 'warning', /is good until/],
    [-30, 60, 'ok', /is good until/],
  ])('one that is good from %i to %i days from now is a matter of %s', async (from, until, level, words) => {
    const { cert } = certificate(root, `ca${until}`, from, until);
    expect((await doctor(tls(cert), [NAME])).of(NAME)).toEqual([
      expect.objectContaining({ level, what: expect.stringMatching(words) }),
    ]);
  });

  test('those that servers show are looked at too, whoever signed them', async () => {
    const { cert, key } = certificate(root, 'server', -30, -2);
    const server = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) });
    const port = await listening(server);
    const env = { ...AWAY, KAFKA_TLS: 'on', KAFKA_BROKERS: `localhost:${port},127.0.0.1:1` };
    const report = await doctor(env, ['certificates of servers']);
    expect(report.problems).toEqual([
      expect.stringMatching(new RegExp(`the certificate of Kafka at localhost:${port} expired on`)),
      expect.stringMatching(/Kafka at 127\.0\.0\.1:1 shows no certificate: nobody listens there/),
    ]);
  });

  test('a server that wants to see ours first is shown it', async () => {
    const [server, client] = [certificate(root, 'wary', -30, 60), certificate(root, 'client', -30, 60)];
    const port = await listening(
      createTlsServer({
        cert: readFileSync(server.cert),
        key: readFileSync(server.key),
        ca: readFileSync(client.cert),
        requestCert: true,
        maxVersion: 'TLSv1.2',
      }),
    );
    const env = { ...AWAY, KAFKA_TLS: 'on', KAFKA_BROKERS: `localhost:${port}` };
    const look = (own: Readonly<Record<string, string>>) => doctor({ ...env, ...own }, ['certificates of servers']);
    expect((await look({})).problems).toEqual([expect.stringMatching(/shows no certificate/)]);
    expect((await look({ KAFKA_TLS_CERT: client.cert, KAFKA_TLS_KEY: client.key })).problems).toEqual([]);
  });
});

describe('the report', () => {
  const check = (name: string, run: () => Promise<never>) => ({ name, area: 'machine' as const, run, limitMs: 50 });

  test('a check that fails or hangs is a problem in words, without a stack or a secret', async () => {
    const password = new Error('no entry for s3cret-my\n    at secret.ts:1:1');
    const checks = [check('fails', () => Promise.reject(password)), check('hangs', () => new Promise(() => undefined))];
    const diagnoses = await examine(AWAY, Date.now, checks);
    expect(reportText(diagnoses, { quiet: true, colours: false })).toEqual([
      'machine',
      '  ✗ fails: it cannot be looked at: no entry for ***',
      '      → See what else is wrong, and try again.',
      '  ✗ hangs: the answer did not come within 0.05 s',
      '      → See what else is wrong, and try again.',
      '',
      '2 problems, 0 warnings, 0 ok',
    ]);
    expect(JSON.parse(reportJson(diagnoses, false))).toMatchObject({ ...counted(diagnoses), problem: 2 });
  });

  test('docs/doctor.md explains every check in its area, and no other', () => {
    const text = readFileSync('docs/doctor.md', 'utf8');
    const documented = text.split(/^## /m).flatMap((section) => {
      const area = AREAS.find((one) => section.toLowerCase().startsWith(`${one}\n`));
      return area === undefined ? [] : [...section.matchAll(/^\| `([^`]+)` /gm)].map(([, name]) => `${area}: ${name}`);
    });
    expect(documented.sort()).toEqual(CHECKS.map(({ area, name }) => `${area}: ${name}`).sort());
  });
});

describe('the command', () => {
  const app = buildApp();
  afterAll(() => app.remove());

  test('exits with 0, 1 or 2, as it found things, and makes nothing', async () => {
    const settings = { DATA_DIR: nowhere, ...(await portSettings()) };
    const run = async (args: readonly string[], more: Readonly<Record<string, string>> = {}) => {
      const process = startProcess(globalThis.process.execPath, [app.main, 'doctor', ...args], {
        ...settings,
        ...more,
      });
      const { code } = await process.exit;
      return { code, output: process.output() };
    };
    const sound = await run([]);
    expect(sound.code).toBe(0);
    expect(sound.output).toMatch(/\n0 problems, 0 warnings, \d+ ok, \d+ not checked\n$/);
    // No colours where nobody looks.
    expect(sound.output).not.toContain('\u001b');
    expect(await run(['--quiet'], { LOG_LEVEL: 'loud' })).toEqual({
      code: 1,
      output: expect.stringMatching(/^configuration\n {2}✗ settings: LOG_LEVEL: .*\n {6}→ .*\n\n1 problem, /),
    });
    expect(JSON.parse((await run(['--json'])).output)).toMatchObject({ problem: 0, findings: expect.any(Array) });
    expect((await run(['--loud'])).code).toBe(2);
    expect(existsSync(nowhere)).toBe(false);
  });
});
