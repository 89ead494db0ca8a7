/** Every boundary of style.md's point 12, tried on a file that crosses it and on one that keeps it. */
import { execFile } from 'node:child_process';
import { beforeAll, describe, expect, test } from '@jest/globals';

interface Case {
  readonly file: string;
  readonly code: string;
}

const REFUSED: readonly (readonly [string, Case])[] = [
  ['a domain file imports a database', { file: 'subgraphs/order/order.ts', code: `import 'typeorm';` }],
  ['a domain file imports a broker', { file: 'subgraphs/balance/ledger.ts', code: `import 'kafkajs';` }],
  ['a domain file imports a document store', { file: 'subgraphs/product/product.ts', code: `import 'mongodb';` }],
  ['a domain file imports a server', { file: 'shared/validation/text.ts', code: `import 'fastify';` }],
  ['a domain file imports Node', { file: 'subgraphs/user/user.ts', code: `import 'node:fs';` }],
  [
    'a domain file imports an adapter',
    { file: 'subgraphs/order/order.ts', code: `import '../../shared/database/sqlite.js';` },
  ],
  [
    'a domain file imports the code of a port',
    { file: 'shared/events/event.ts', code: `import { placeholders } from '../database/port.js'; placeholders(1);` },
  ],
  ['a domain file imports its store', { file: 'subgraphs/order/order.ts', code: `import './store.js';` }],
  ['a domain file imports it dynamically', { file: 'subgraphs/order/order.ts', code: `await import('./store.js');` }],
  ['a domain file passes it on', { file: 'subgraphs/order/order.ts', code: `export * from './store.js';` }],
  [
    'a domain file imports another subgraph’s',
    { file: 'subgraphs/order/order.ts', code: `import '../product/product.js';` },
  ],
  ['a subgraph imports another', { file: 'subgraphs/order/store.ts', code: `import '../product/store.js';` }],
  [
    'a subgraph imports the type of another',
    {
      file: 'subgraphs/order/store.ts',
      code: `import type { ProductStore } from '../product/store.js'; export type X = ProductStore;`,
    },
  ],
  ['a subgraph imports the gateway', { file: 'subgraphs/user/app.ts', code: `import '../../gateway/limits.js';` }],
  ['a subgraph imports the application', { file: 'subgraphs/user/app.ts', code: `import '../../app/system.js';` }],
  ['a subgraph imports the tests', { file: 'subgraphs/user/app.ts', code: `import '../../tests/until.js';` }],
  ['shared imports a subgraph', { file: 'shared/graphql/server.ts', code: `import '../../subgraphs/user/app.js';` }],
  ['shared imports the gateway', { file: 'shared/graphql/server.ts', code: `import '../../gateway/limits.js';` }],
  ['shared imports the application', { file: 'shared/graphql/server.ts', code: `import '../../app/system.js';` }],
  ['the gateway imports a subgraph', { file: 'gateway/limits.ts', code: `import '../subgraphs/user/app.js';` }],
  ['the gateway imports the application', { file: 'gateway/limits.ts', code: `import '../app/system.js';` }],
];

const ALLOWED: readonly (readonly [string, Case])[] = [
  [
    'a domain file imports events and money',
    {
      file: 'subgraphs/order/order.ts',
      code: `import '../../shared/events/event.js'; import '../../shared/money/money.js';`,
    },
  ],
  ['a domain file imports the schema library', { file: 'shared/events/states.ts', code: `import 'zod';` }],
  [
    'a domain file imports the shape of a port',
    {
      file: 'shared/events/event.ts',
      code: `import type { LogRecord } from '../event-log/port.js'; export type X = LogRecord;`,
    },
  ],
  [
    'a domain file imports one of its own subgraph',
    { file: 'subgraphs/balance/ledger.ts', code: `import './account.js';` },
  ],
  [
    'a subgraph imports itself, shared and packages',
    {
      file: 'subgraphs/order/store.ts',
      code: `import './order.js'; import '../../shared/database/port.js'; import 'dataloader';`,
    },
  ],
  [
    'the application imports everything',
    {
      file: 'app/system.ts',
      code: `import '../subgraphs/user/app.js'; import '../gateway/limits.js'; import '../shared/ids/ids.js';`,
    },
  ],
  [
    'a test imports what only tests use',
    {
      file: 'subgraphs/order/order.test.ts',
      code: `import '../../tests/until.js'; import './order.js'; import '@jest/globals';`,
    },
  ],
];

// ESLint has its own way of loading modules, so it runs outside jest; all cases in one process, without type information.
const PROBE = `
  import { ESLint } from 'eslint';
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  const eslint = new ESLint({
    ruleFilter: ({ ruleId }) => ruleId === 'boundaries/dependencies',
    overrideConfig: { languageOptions: { parserOptions: { projectService: false } } },
  });
  const results = [];
  for (const { file, code } of JSON.parse(text)) {
    const [{ messages }] = await eslint.lintText(code, { filePath: file });
    results.push(messages.map(({ ruleId, message }) => ruleId ?? message));
  }
  console.log(JSON.stringify(results));
`;

function lint(cases: readonly Case[]): Promise<readonly (readonly string[])[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, ['--input-type=module', '--eval', PROBE], (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as string[][]);
      else reject(new Error(`ESLint failed: ${stderr}`, { cause: error }));
    });
    child.stdin?.end(JSON.stringify(cases));
  });
}

const found = new Map<Case, readonly string[]>();

beforeAll(async () => {
  const cases = [...REFUSED, ...ALLOWED].map(([, each]) => each);
  const results = await lint(cases);
  cases.forEach((each, index) => found.set(each, results[index] ?? []));
}, 120_000);

describe('refused', () => {
  test.each(REFUSED)('%s', (_, each) => expect(found.get(each)).toEqual(['boundaries/dependencies']));
});

describe('allowed', () => {
  test.each(ALLOWED)('%s', (_, each) => expect(found.get(each)).toEqual([]));
});
