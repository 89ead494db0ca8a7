import { expect, test } from '@jest/globals';
import { Breaker, BREAKER_DEFAULTS, type BreakerState } from './breaker.js';

function make() {
  const clock = { ms: 0 };
  const states: BreakerState[] = [];
  const settings = { ...BREAKER_DEFAULTS, failures: 3, calls: 10, windowMs: 1_000, waitMs: 100, maxWaitMs: 400 };
  const breaker = new Breaker(
    settings,
    () => clock.ms,
    (state) => states.push(state),
  );
  const allows = () => breaker.ask() !== undefined;
  const succeed = () => breaker.succeed(breaker.ask() ?? -1);
  const fail = (times = 1) => {
    for (let i = 0; i < times; i++) breaker.fail(breaker.ask() ?? -1);
  };
  return { breaker, clock, states, allows, succeed, fail };
}

test('it opens after so many failures in a row', () => {
  const { allows, succeed, fail } = make();
  fail(2);
  succeed();
  fail(2);
  expect(allows()).toBe(true);
  fail();
  expect(allows()).toBe(false);
});

test('it opens when half of the calls of late have failed, and not before there were enough of them', () => {
  const { allows, succeed, fail } = make();
  for (let i = 0; i < 4; i++) {
    succeed();
    fail();
  }
  succeed();
  expect(allows()).toBe(true);
  fail();
  expect(allows()).toBe(false);
});

test('it stays closed while fewer than half of the calls fail', () => {
  const { allows, succeed, fail } = make();
  for (let i = 0; i < 40; i++) {
    succeed();
    succeed();
    fail();
  }
  expect(allows()).toBe(true);
});

test('failures of long ago do not count', () => {
  const { clock, allows, succeed, fail } = make();
  for (let i = 0; i < 20; i++) {
    clock.ms += 500;
    succeed();
    fail();
  }
  expect(allows()).toBe(true);
});

test('one probe at a time is let through, and a success closes it', () => {
  const { breaker, clock, states, allows, fail } = make();
  fail(3);
  clock.ms = 99;
  expect(allows()).toBe(false);
  clock.ms = 100;
  const probe = breaker.ask() ?? -1;
  expect(allows()).toBe(false);
  breaker.succeed(probe);
  expect([allows(), allows()]).toEqual([true, true]);
  expect(states).toEqual(['open', 'probing', 'closed']);
});

test('what began before it opened neither closes it nor makes the wait longer', () => {
  const { breaker, clock, allows, fail } = make();
  const early = breaker.ask() ?? -1;
  fail(3);
  breaker.succeed(early);
  breaker.fail(early);
  expect(allows()).toBe(false);
  clock.ms = 100;
  expect(allows()).toBe(true);
});

test('a slow probe counts, though the next one has begun', () => {
  const { breaker, clock, states, fail } = make();
  fail(3);
  clock.ms = 100;
  const slow = breaker.ask() ?? -1;
  clock.ms = 200;
  expect(breaker.ask()).toBeDefined();
  breaker.succeed(slow);
  expect(states.at(-1)).toBe('closed');
});

test('the wait doubles with every probe that fails, up to a limit, and begins anew after a success', () => {
  const { clock, allows, succeed, fail } = make();
  fail(3);
  for (const wait of [100, 200, 400, 400]) {
    clock.ms += wait - 1;
    expect(allows()).toBe(false);
    clock.ms += 1;
    fail();
  }
  clock.ms += 400;
  succeed();
  fail(3);
  clock.ms += 100;
  expect(allows()).toBe(true);
});

test('a probe that is never heard of again does not keep it open', () => {
  const { clock, allows, fail } = make();
  fail(3);
  clock.ms = 100;
  allows();
  clock.ms = 200;
  expect(allows()).toBe(true);
});

test('a subgraph that is said to be there is probed by the next call, and by that only', () => {
  const { breaker, allows, fail } = make();
  fail(3);
  breaker.probeNow();
  expect([allows(), allows()]).toEqual([true, false]);
});
