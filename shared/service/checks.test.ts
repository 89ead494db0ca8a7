import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { Database } from '../database/port.js';
import type { EventLog } from '../event-log/port.js';
import { expectNothingInternal, SECRETS } from '../../tests/internals.js';
import { checkDatabase, checkEventLog } from './checks.js';

test('an engine that fails is named in plain words; why is for the log', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const fails = () => Promise.reject(new Error(SECRETS));
  const checks = [
    await checkDatabase({ read: fails } as unknown as Database, log),
    await checkEventLog({ ranges: fails } as unknown as EventLog, log),
  ];
  expect(checks).toEqual([
    { name: 'database', ok: false, detail: 'The database does not answer.' },
    { name: 'event log', ok: false, detail: 'The event log does not answer.' },
  ]);
  expectNothingInternal(JSON.stringify(checks));
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toContain('ECONNREFUSED');
});
