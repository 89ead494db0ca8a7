import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { ConfigError, readConfig, SETTINGS } from '../shared/config/config.js';
import { EXIT } from './exit.js';
import { assertApart, enginesOf, PROCESS_NAMES, PROCESSES, processesNamed, type ProcessName } from './processes.js';
import { UserError } from './toolbox.js';

const OPERATIONS = readFileSync('docs/operations.md', 'utf8');

const SERVERS = {
  MYSQL_URL: 'mysql://root@127.0.0.1:3306',
  KAFKA_BROKERS: '127.0.0.1:9092',
  MONGO_URL: 'mongodb://127.0.0.1:27017',
};
const SECRET = { IDENTITY_SECRET: '0123456789abcdef0123456789abcdef' };

test('docs/operations.md lists every process with its port, the setting of it, and the servers it needs', () => {
  const names = { database: 'MySQL', eventLog: 'Kafka', documents: 'MongoDB' };
  const config = readConfig({});
  for (const name of PROCESS_NAMES) {
    const { port, variable, engines } = PROCESSES[name];
    const row = OPERATIONS.split('\n').find((line) => line.startsWith(`| \`${name}\` `)) ?? '';
    expect(row).toContain(`| ${port(config)} (\`${variable}\`)`);
    const needed = row.split('|').at(-2)?.trim().split(', ').filter(Boolean).sort();
    expect(needed).toEqual(engines.map((engine) => names[engine]).sort());
  }
});

test('docs/operations.md lists every exit code', () => {
  const listed = [...OPERATIONS.matchAll(/^\| `(\d+)` +\|/gm)].map(([, code]) => Number(code));
  expect(listed).toEqual(Object.values(EXIT));
});

test('every process has a port of its own, which a setting changes', () => {
  const variables = PROCESS_NAMES.map((name) => PROCESSES[name].variable);
  expect(new Set(variables).size).toBe(PROCESS_NAMES.length);
  for (const [index, variable] of variables.entries()) {
    expect(SETTINGS).toContain(variable);
    const name = PROCESS_NAMES[index] as ProcessName;
    expect(PROCESSES[name].port(readConfig({ [variable]: '12345' }))).toBe(12_345);
  }
});

test('no name means all of them, and so does "all"', () => {
  expect(processesNamed([])).toEqual(PROCESS_NAMES);
  expect(processesNamed(['all'])).toEqual(PROCESS_NAMES);
});

test('names are taken once each, and one that there is not is refused by telling which there are', () => {
  expect(processesNamed(['projector', 'order-api', 'projector'])).toEqual(['order-api', 'projector']);
  expect(() => processesNamed(['order-api', 'orders'])).toThrow(UserError);
  expect(() => processesNamed(['orders'])).toThrow(
    /^There is no process orders\. There are: gateway, user-api, .*, projector, and all\.$/,
  );
  expect(() => processesNamed(['all', 'gateway'])).toThrow(UserError);
});

test('an API of the write side needs its database alone, so that commands are taken while the others are away', () => {
  expect(enginesOf(['order-api', 'user-api'])).toEqual(['database']);
  expect(enginesOf(['gateway'])).toEqual([]);
  expect([...enginesOf(PROCESS_NAMES)].sort()).toEqual(['database', 'documents', 'eventLog']);
});

test('processes apart are refused on embedded engines and without a common secret', () => {
  const apart = (env: Readonly<Record<string, string>>) => () => assertApart(readConfig(env));
  expect(apart({})).toThrow(ConfigError);
  expect(apart(SECRET)).toThrow(
    /^MYSQL_URL, KAFKA_BROKERS, MONGO_URL: are missing\. Embedded engines serve one process only/,
  );
  expect(apart(SERVERS)).toThrow(/^IDENTITY_SECRET: is missing\. .*32 characters or more, for example /);
  expect(apart({ ...SERVERS, ...SECRET })).not.toThrow();
});
