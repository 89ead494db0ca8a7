import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
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
  /** Due, and to be had; what somebody else holds is due all the same. */
  due: number[] = [];
  held = false;
  answer: (task: number) => Promise<string> = () => Promise.resolve('done');
  /** When a recorded task is due again. */
  again: (task: number) => number | null = () => null;
  private announce = (): void => undefined;

  constructor(
    readonly paceMs: number,
    private readonly most = 10,
  ) {}

  readonly now = Date.now;
  readonly maxInFlight = (): number => this.most;

  add(...tasks: readonly number[]): void {
    this.due.push(...tasks);
    this.announce();
  }

  onRequested(listener: () => void): () => void {
    this.announce = listener;
    return () => (this.announce = () => undefined);
  }

  claim(limit: number): Promise<readonly number[]> {
    const taken = this.due.splice(0, this.held ? 0 : limit);
    this.claims.push({ took: taken.length, at: performance.now() });
    return Promise.resolve(taken);
  }

  nextDue(): Promise<number | null> {
    return Promise.resolve(this.due.length > 0 ? 0 : null);
  }

  perform(task: number): Promise<string> {
    return this.answer(task);
  }

  record(performed: readonly Performed<number, string>[]): Promise<number | null> {
    const tasks = performed.map(({ task }) => task);
    this.records.push(tasks);
    const times = tasks.flatMap((task) => this.again(task) ?? []);
    return Promise.resolve(times.length === 0 ? null : Math.min(...times));
  }

  about(task: number): object {
    return { task };
  }

  get recorded(): number[] {
    return this.records.flat().sort((a, b) => a - b);
  }
}

const workers: EffectWorker<number, string>[] = [];
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
});

function work(list: List): List {
  const worker = new EffectWorker(list);
  workers.push(worker);
  worker.start();
  return list;
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const never = (): Promise<string> => new Promise(() => undefined);

describe('claims', () => {
  test('what comes after a quiet time is claimed at once, however long the pace', async () => {
    const list = work(new List(HOUR));
    await until(() => list.claims.length > 0);
    list.add(1);
    await until(() => list.recorded.length === 1);
    expect(list.claims.map(({ took }) => took)).toEqual([0, 1]);
  });

  test('in a stream they are a pace apart, and what came meanwhile is claimed together', async () => {
    const list = work(new List(40, 1_000));
    for (const task of numbers(300)) {
      list.add(task);
      await turn();
    }
    await until(() => list.recorded.length === 300);
    expect(list.recorded).toEqual(numbers(300));
    const taking = list.claims.filter(({ took }) => took > 0);
    taking.slice(1).forEach(({ at }, index) => expect(at - (taking[index]?.at ?? 0)).toBeGreaterThan(39));
    expect(taking.length).toBeLessThan(100);
  });

  test('while everything they ask for is there, they wait for no pace', async () => {
    const list = new List(HOUR, 4);
    list.add(...numbers(50));
    work(list);
    await until(() => list.recorded.length === 50);
    expect(list.recorded).toEqual(numbers(50));
  });

  test('with more to do, half of the places suffice to go on', async () => {
    const list = new List(HOUR, 4);
    list.answer = (task) => (task < 2 ? never() : Promise.resolve('done'));
    list.add(...numbers(20));
    work(list);
    await until(() => list.recorded.length === 18);
  });

  test('with more to do, any place is used after a pace', async () => {
    const list = new List(5, 4);
    list.answer = (task) => (task < 3 ? never() : Promise.resolve('done'));
    list.add(...numbers(20));
    work(list);
    await until(() => list.recorded.length === 17);
  });

  test('what is due and in the hands of somebody else is asked for once in a pace', async () => {
    const list = new List(15);
    list.held = true;
    list.add(1);
    work(list);
    await until(() => list.claims.length > 4);
    list.claims.slice(1).forEach(({ at }, index) => expect(at - (list.claims[index]?.at ?? 0)).toBeGreaterThan(14));
    list.held = false;
    await until(() => list.recorded.length === 1);
  });

  test('are made again when what was recorded is due again', async () => {
    const list = work(new List(1));
    let tries = 0;
    list.again = (task) => {
      if (++tries === 50) return null;
      list.due.push(task);
      return Date.now() + 1;
    };
    list.add(1);
    // With nothing but the look of every second it would take longer than this waits.
    await until(() => list.records.length === 50);
  });
});

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
