import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { until } from '../../tests/until.js';
import { silentLogger } from '../observability/logger.js';
import { EffectWorker, type Effect, type Performed } from './worker.js';

const HOUR = 3_600_000;

/** A to-do list in memory, and what a worker did with it. */
class List implements Effect<number, string> {
  readonly name = 'tasks';
  readonly log = silentLogger();
  /** How many each claim took, and when it was made. */
  readonly claims: { readonly took: number; readonly at: number }[] = [];
  readonly records: number[][] = [];
  /** What is asked for, and when it is due. */
  private tasks: { readonly task: number; readonly at: number }[] = [];
  /** Somebody else has all of it, due or not. */
  held = false;
  answer: (task: number) => Promise<string> = () => Promise.resolve('done');
  /** When a recorded task is due again. */
  again: (task: number) => number | null = () => null;
  /** Whether a record with this task fails. */
  unrecordable: (task: number) => boolean = () => false;
  private announce = (): void => undefined;

  constructor(
    readonly paceMs: number,
    private readonly most = 10,
  ) {}

  readonly now = (): number => performance.now();
  readonly maxInFlight = (): number => this.most;

  add(...tasks: readonly number[]): void {
    this.tasks.push(...tasks.map((task) => ({ task, at: this.now() })));
    this.announce();
  }

  onRequested(listener: () => void): () => void {
    this.announce = listener;
    return () => (this.announce = () => undefined);
  }

  claim(limit: number): Promise<readonly number[]> {
    const at = this.now();
    const taken = this.held ? [] : this.tasks.filter((one) => one.at <= at).slice(0, limit);
    this.tasks = this.tasks.filter((one) => !taken.includes(one));
    this.claims.push({ took: taken.length, at });
    return Promise.resolve(taken.map(({ task }) => task));
  }

  nextDue(): Promise<number | null> {
    return Promise.resolve(earliest(this.tasks.map(({ at }) => at)));
  }

  perform(task: number): Promise<string> {
    return this.answer(task);
  }

  record(performed: readonly Performed<number, string>[]): Promise<number | null> {
    const tasks = performed.map(({ task }) => task);
    if (tasks.some((task) => this.unrecordable(task))) return Promise.reject(new Error('of no use'));
    this.records.push(tasks);
    const again = tasks.map((task) => ({ task, at: this.again(task) ?? Infinity })).filter(({ at }) => at < Infinity);
    this.tasks.push(...again);
    return Promise.resolve(earliest(again.map(({ at }) => at)));
  }

  about(task: number): object {
    return { task };
  }

  get recorded(): number[] {
    return this.records.flat().sort((a, b) => a - b);
  }
}

const earliest = (times: readonly number[]): number | null => (times.length === 0 ? null : Math.min(...times));

const workers: EffectWorker<number, string>[] = [];
afterEach(async () => {
  jest.useRealTimers();
  for (const worker of workers.splice(0)) await worker.stop();
});

function work(list: List): List {
  const worker = new EffectWorker(list);
  workers.push(worker);
  worker.start();
  return list;
}

const numbers = (count: number, first = 0): number[] => Array.from({ length: count }, (_, index) => first + index);
const never = (): Promise<string> => new Promise(() => undefined);

/** Lets happen whatever needs no time. */
async function settle(turns = 5): Promise<void> {
  for (let taken = 0; taken < turns; taken++) await turn();
}

/** Lets so many milliseconds pass, one by one. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed++) {
    await settle();
    jest.advanceTimersByTime(1);
  }
  await settle();
}

describe('claims', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });

  test('what comes after a quiet time is claimed at once, however long the pace', async () => {
    const list = work(new List(HOUR));
    await pass(10);
    list.add(1);
    await settle();
    expect(list.recorded).toEqual([1]);
    expect(list.claims.map(({ took }) => took)).toEqual([0, 1]);
  });

  test('in a stream they are a pace apart, and what came meanwhile is claimed together', async () => {
    const list = work(new List(40, 1_000));
    for (const task of numbers(300)) {
      list.add(task);
      await pass(1);
    }
    await pass(40);
    expect(list.recorded).toEqual(numbers(300));
    expect(gaps(list.claims.filter(({ took }) => took > 0))).toEqual(Array.from({ length: 8 }, () => 40));
  });

  test('while everything they ask for is there, they wait for no pace', async () => {
    const list = new List(HOUR, 4);
    list.add(...numbers(50));
    work(list);
    await settle(50);
    expect(list.recorded).toEqual(numbers(50));
  });

  test('with more to do, half of the places suffice to go on at once', async () => {
    const list = new List(HOUR, 4);
    list.answer = (task) => (task < 2 ? never() : Promise.resolve('done'));
    list.add(...numbers(8));
    work(list);
    await settle(50);
    expect(list.recorded).toEqual(numbers(6, 2));
  });

  test('with more to do, the places that are left are filled every 20 ms, however long the pace', async () => {
    const list = new List(500, 5);
    list.answer = (task) => (task < 3 ? never() : Promise.resolve('done'));
    list.add(...numbers(15));
    work(list);
    await pass(100);
    expect(list.recorded).toEqual(numbers(12, 3));
    expect(list.claims.slice(0, 6).map(({ took }) => took)).toEqual([5, 2, 2, 2, 2, 2]);
    expect(gaps(list.claims.slice(0, 6))).toEqual([20, 20, 20, 20, 20]);
  });

  test('what is due and in the hands of somebody else is asked for ten times a second at most', async () => {
    const list = new List(15);
    list.held = true;
    list.add(1);
    work(list);
    await pass(450);
    expect(gaps(list.claims)).toEqual([100, 100, 100, 100]);
    list.held = false;
    await pass(50);
    expect(list.recorded).toEqual([1]);
  });

  test('are made again when what was recorded is due again, whatever is claimed before', async () => {
    const list = work(new List(20));
    let due = 0;
    list.again = () => (due === 0 ? (due = list.now() + 300) : null);
    list.add(1);
    await pass(250);
    list.add(2);
    await pass(100);
    expect(list.records).toEqual([[1], [2], [1]]);
    expect(list.claims.at(-1)).toEqual({ took: 1, at: due });
  });

  test('are made again when the next is due, whatever is announced before', async () => {
    const list = new List(20);
    list.again = (task) => (task === 1 && list.records.length === 1 ? list.now() + 300 : null);
    list.add(1);
    // Somebody else has made the first attempt.
    await list.record([{ task: (await list.claim(1))[0] ?? 0, outcome: 'later' }]);
    work(list);
    await pass(250);
    list.add(2);
    await pass(100);
    expect(list.records).toEqual([[1], [2], [1]]);
  });
});

const gaps = (claims: readonly { readonly at: number }[]): number[] =>
  claims.slice(1).map(({ at }, index) => at - (claims[index]?.at ?? 0));

test('outcomes of one turn are recorded together, however they came about', async () => {
  const list = new List(HOUR, 100);
  list.answer = async (task) => {
    for (let steps = 0; steps < task; steps++) await Promise.resolve();
    return 'done';
  };
  list.add(...numbers(100));
  work(list);
  await until(() => list.recorded.length === 100);
  expect(list.records).toHaveLength(1);
});

test('one outcome of many that cannot be recorded keeps none of the others from it', async () => {
  const list = new List(HOUR);
  list.unrecordable = (task) => task === 3;
  list.add(...numbers(10));
  work(list);
  await until(() => list.recorded.length === 9);
  expect(list.recorded).toEqual(numbers(10).filter((task) => task !== 3));
  // And the worker goes on.
  list.add(10);
  await until(() => list.recorded.includes(10));
});
