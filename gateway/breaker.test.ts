import { expect, test } from '@jest/globals';
import { Breaker, type BreakerState } from './breaker.js';

function make() {
  const clock = { ms: 0 };
  const states: BreakerState[] = [];
  const settings = { failures: 3, waitMs: 100, maxWaitMs: 400 };
  const breaker = new Breaker(
    settings,
    () => clock.ms,
    (state) => states.push(state),
  );
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) breaker.fail();
  };
  return { breaker, clock, states, fail };
}

test('it opens only after so many failures in a row', () => {
  const { breaker, fail } = make();
  fail(2);
  breaker.succeed();
  fail(2);
  expect(breaker.allows()).toBe(true);
  fail(1);
  expect(breaker.allows()).toBe(false);
});

test('one probe at a time is let through, and a success closes it', () => {
  const { breaker, clock, states, fail } = make();
  fail(3);
  clock.ms = 99;
  expect(breaker.allows()).toBe(false);
  clock.ms = 100;
  expect([breaker.allows(), breaker.allows()]).toEqual([true, false]);
  breaker.succeed();
  expect([breaker.allows(), breaker.allows()]).toEqual([true, true]);
  expect(states).toEqual(['open', 'probing', 'closed']);
});

test('the wait doubles with every probe that fails, up to a limit, and begins anew after a success', () => {
  const { breaker, clock, fail } = make();
  fail(3);
  for (const wait of [100, 200, 400, 400]) {
    clock.ms += wait - 1;
    expect(breaker.allows()).toBe(false);
    clock.ms += 1;
    expect(breaker.allows()).toBe(true);
    fail(1);
  }
  clock.ms += 400;
  breaker.allows();
  breaker.succeed();
  fail(3);
  clock.ms += 100;
  expect(breaker.allows()).toBe(true);
});

test('a probe that is never heard of again does not keep it open', () => {
  const { breaker, clock, fail } = make();
  fail(3);
  clock.ms = 100;
  breaker.allows();
  clock.ms = 200;
  expect(breaker.allows()).toBe(true);
});
