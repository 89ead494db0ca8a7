import { expect, test } from '@jest/globals';
import { judge, maySend, type Verdict } from './verdict.js';

const PAUSES = { awayMs: 4_000, refusedMs: 30_000 };
const fresh = { attempts: 1, answers: 0, refusals: 0 };

test('a server that is away costs a mail nothing, however often', () => {
  const tried = { attempts: 5_000, answers: 4_999, refusals: 3 };
  expect(judge(tried, { type: 'away', error: 'x' }, PAUSES)).toEqual({
    type: 'again',
    inMs: 4_000,
    refused: false,
    reason: 'x',
  });
  expect(maySend(tried)).toBe(true);
});

test('refusals for now are borne for three hours, at most an hour apart, then the mail is dead', () => {
  const pauses: number[] = [];
  let verdict: Verdict;
  for (let refusals = 0; ; refusals++) {
    verdict = judge({ attempts: refusals + 1, answers: refusals, refusals }, { type: 'postponed', error: 'x' }, PAUSES);
    if (verdict.type === 'end') break;
    pauses.push(verdict.inMs);
  }
  expect(verdict).toMatchObject({ status: 'DEAD', reason: 'x' });
  expect(pauses.map((pause) => pause / 60_000)).toEqual([0.5, 1, 2, 4, 8, 16, 32, 60, 60]);
});

test('a refusal for good ends it at once', () => {
  expect(judge(fresh, { type: 'refused', error: 'x' }, PAUSES)).toMatchObject({ type: 'end', status: 'DEAD' });
});

test('two attempts of which nobody heard are the last, whatever was answered to others', () => {
  const unknown = { type: 'unknown', error: 'x' } as const;
  expect(judge(fresh, unknown, PAUSES)).toMatchObject({ type: 'again' });
  expect(judge({ attempts: 9, answers: 8, refusals: 8 }, unknown, PAUSES)).toMatchObject({ type: 'again' });
  expect(judge({ attempts: 9, answers: 7, refusals: 7 }, unknown, PAUSES)).toMatchObject({
    type: 'end',
    status: 'DEAD',
  });
  expect(maySend({ attempts: 2, answers: 0, refusals: 0 })).toBe(true);
  expect(maySend({ attempts: 3, answers: 0, refusals: 0 })).toBe(false);
});

test('what a server says is kept as far as the table takes it', () => {
  const verdict = judge(fresh, { type: 'refused', error: '😀'.repeat(5_000) }, PAUSES);
  expect([...(verdict.type === 'end' ? (verdict.reason ?? '') : '')]).toHaveLength(500);
});
