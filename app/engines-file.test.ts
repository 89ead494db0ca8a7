import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { withEngines } from './engines-file.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-engines-file-'));
  writeFileSync(join(folder, 'engines.env'), '# A comment.\nMYSQL_URL=mysql://root@127.0.0.1:1\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the addresses in the file win over those of the environment', () => {
  const env = withEngines({ ENGINES_DIR: folder, MYSQL_URL: 'mysql://elsewhere', LOG_LEVEL: 'warn' });
  expect(env).toMatchObject({ MYSQL_URL: 'mysql://root@127.0.0.1:1', LOG_LEVEL: 'warn' });
});

test('there is the demo administrator unless AUTH_MODE says otherwise', () => {
  expect(withEngines({ ENGINES_DIR: folder })).toHaveProperty('AUTH_MODE', 'demo');
  expect(withEngines({ ENGINES_DIR: folder, AUTH_MODE: 'required' })).toHaveProperty('AUTH_MODE', 'required');
});

test('without the file it is told how to get one', () => {
  expect(() => withEngines({ ENGINES_DIR: join(folder, 'none') })).toThrow(/npm run engines/);
});
