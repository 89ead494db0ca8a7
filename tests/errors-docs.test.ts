import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { readConfig, SETTINGS } from '../shared/config/config.js';
import { AppError, ERROR_CODES } from '../shared/errors/errors.js';

/** The cells of a page's table rows that begin with a name in code. */
function rowsOf(page: string): string[][] {
  return readFileSync(page, 'utf8')
    .split('\n')
    .filter((line) => /^\| `[A-Z_]+` +\|/.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

const bare = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '');

test('docs/errors.md explains exactly the codes there are, with when and what to do', () => {
  const rows = rowsOf('docs/errors.md');
  expect(rows.map(([code]) => bare(code))).toEqual([...ERROR_CODES]);
  for (const row of rows)
    expect(row).toEqual([expect.any(String), expect.stringMatching(/\w{3}/), expect.stringMatching(/\w{3}/)]);
});

test('docs/errors.md names exactly the codes that may go away by themselves', () => {
  const [sentence = ''] =
    /^.*may go away without the request being changed/m.exec(readFileSync('docs/errors.md', 'utf8')) ?? [];
  const retryable = ERROR_CODES.filter((code) => new AppError(code, 'x').retryable);
  expect([...sentence.matchAll(/`(\w+)`/g)].map(([, code]) => code)).toEqual(retryable);
});

test('docs/configuration.md lists exactly the settings there are, each with its meaning', () => {
  const rows = rowsOf('docs/configuration.md');
  expect(rows.map(([name]) => bare(name))).toEqual(SETTINGS);
  for (const [, , meaning] of rows) expect(meaning).toMatch(/\w{3}/);
});

test('the defaults of docs/configuration.md are the defaults', () => {
  const unset = readConfig({});
  for (const [name, value = ''] of rowsOf('docs/configuration.md')) {
    expect(bare(value)).not.toBe('');
    // In parentheses stands what it means to leave it unset.
    if (/^\(.+\)$/.test(value)) expect(readConfig({ [bare(name)]: '' })).toEqual(unset);
    else expect(readConfig({ [bare(name)]: bare(value) })).toEqual(unset);
  }
});
