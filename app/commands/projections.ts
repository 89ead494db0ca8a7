import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { formatDuration } from '../../shared/time/duration.js';
import { Outbox } from '../../shared/outbox/outbox.js';
import type { SnapshotSource } from '../../shared/outbox/snapshots.js';
import { isPrepared } from '../../shared/outbox/status.js';
import { accountSnapshots, transactionSnapshots } from '../../subgraphs/balance/snapshots.js';
import { orderSnapshots } from '../../subgraphs/order/snapshots.js';
import { productSnapshots } from '../../subgraphs/product/snapshots.js';
import { collectionOf, generationsOf, readGenerations, type Rebuild } from '../../subgraphs/query/generations.js';
import { howToGoOn, namesOf, RebuildRefused, viewsOf } from '../../subgraphs/query/rebuild-claim.js';
import {
  abortRebuild,
  rebuildViews,
  RebuildInterrupted,
  type Progress,
  type RebuildDeps,
  type Rebuilt,
  type RebuildSource,
} from '../../subgraphs/query/rebuild.js';
import { isView, VIEWS, type ViewName } from '../../subgraphs/query/views.js';
import { userSnapshots } from '../../subgraphs/user/snapshots.js';
import { UserError, type Toolbox, type WriteSubgraphName } from '../toolbox.js';
import { amount, cut, table, textWidth } from './text.js';

/** Where there is no terminal, a line as often as this. */
const LINE_MS = 5_000;

/** A rebuild that runs shows it every second. */
const ALIVE_MS = 2_500;

/** `tributary projections rebuild | status | abort`. */
export function projectionsCommand(toolbox: Toolbox): Command {
  const projections = new Command('projections').description('the views that reads are answered from');

  projections
    .command('rebuild')
    .description('build views anew from the databases while everything goes on, or go on with an interrupted rebuild')
    .argument('[views...]', `${VIEWS.join(', ')}; all when none is named`)
    .action(async (names: string[]) => rebuild(toolbox, names));

  projections
    .command('status')
    .description('which generation of each view is read, and how far a rebuild has come')
    .action(async () => status(toolbox));

  projections
    .command('abort')
    .description('drop what a rebuild has made so far, running or interrupted; the views stay as they are')
    .action(async () => abort(toolbox));

  return projections;
}

async function rebuild(toolbox: Toolbox, names: readonly string[]): Promise<void> {
  const views = parseViews(names);
  const line = new ProgressLine(toolbox.print);
  const started = performance.now();
  const rebuilt = await told(async (signal) =>
    rebuildViews({ ...(await depsOf(toolbox)), signal, onProgress: (progress) => line.show(progress) }, views),
  ).finally(() => line.end());
  rebuiltText(rebuilt).forEach(toolbox.print);
  toolbox.print(`Done in ${formatDuration(performance.now() - started)}.`);
}

async function abort(toolbox: Toolbox): Promise<void> {
  const line = new ProgressLine(toolbox.print);
  const was = await told(async (signal) =>
    abortRebuild({ ...(await depsOf(toolbox)), signal, onProgress: (progress) => line.show(progress) }),
  ).finally(() => line.end());
  toolbox.print(was ? 'Aborted: what had been built is dropped, the views are as they were.' : 'There is no rebuild.');
}

async function status(toolbox: Toolbox): Promise<void> {
  const documents = await toolbox.documents();
  const doc = await readGenerations(documents);
  const right = true;
  const rows = await Promise.all(
    VIEWS.map(async (view) => {
      const { current, others } = generationsOf(doc, view);
      const counts = await Promise.all(
        [current, ...others].map((generation) => documents.count(collectionOf(view, generation))),
      );
      const [count = 0, ...more] = counts.map((one) => one.toLocaleString('en'));
      const besides = others.map((generation, index) => `${generation} (${amountOfDocuments(more[index] ?? '0')})`);
      return [view, String(current), String(count), besides.join(', ') || '-'];
    }),
  );
  const columns = [
    { title: 'VIEW' },
    { title: 'GENERATION', right },
    { title: 'DOCUMENTS', right },
    { title: 'WRITTEN TOO' },
  ];
  table(columns, rows).forEach(toolbox.print);
  toolbox.print('');
  if (doc.rebuild !== null && doc.rebuild.owner !== null) await delay(ALIVE_MS);
  const { rebuild: later } = await readGenerations(documents);
  if (later === null) toolbox.print('No rebuild is under way.');
  else underWay(later, later.beat !== doc.rebuild?.beat).forEach(toolbox.print);
}

const amountOfDocuments = (count: string): string => `${count} documents`;

function underWay(rebuild: Rebuild, alive: boolean): string[] {
  const names = namesOf(rebuild);
  const since = new Date(rebuild.startedAt).toISOString();
  const how = alive ? `run by ${rebuild.where}` : 'interrupted';
  return [
    `A rebuild of ${names} is at step ${rebuild.step}${rebuild.aborted ? ' of being aborted' : ''}, ${how}, begun ${since}.`,
    stateText(rebuild.views),
    ...(alive ? [] : [howToGoOn(rebuild)]),
  ];
}

/** @throws UserError for what is no view that can be rebuilt */
function parseViews(names: readonly string[]): readonly ViewName[] {
  if (names.includes('timeline')) {
    throw new UserError(
      'The timeline cannot be rebuilt: it is every event once, as the log had it, and no database keeps past events. ' +
        'It has what its own consumer group has read.',
    );
  }
  const views = names.filter(isView);
  const unknown = names.find((name) => !isView(name));
  if (unknown !== undefined) throw new UserError(`There is no view ${unknown}. There are ${VIEWS.join(', ')}.`);
  return views.length === 0 ? VIEWS : views;
}

const SOURCES: Readonly<
  Record<ViewName, { readonly subgraph: WriteSubgraphName; readonly snapshots: SnapshotSource }>
> = {
  users: { subgraph: 'user', snapshots: userSnapshots },
  products: { subgraph: 'product', snapshots: productSnapshots },
  orders: { subgraph: 'order', snapshots: orderSnapshots },
  accounts: { subgraph: 'balance', snapshots: accountSnapshots },
  transactions: { subgraph: 'balance', snapshots: transactionSnapshots },
};

/** @throws UserError where there is no system yet */
async function depsOf(toolbox: Toolbox): Promise<RebuildDeps> {
  const { documents, eventLog } = await toolbox.engines();
  const sources = await Promise.all(
    VIEWS.map(async (view): Promise<[ViewName, RebuildSource]> => {
      const { subgraph, snapshots } = SOURCES[view];
      const database = await toolbox.database(subgraph);
      if (!(await isPrepared(database))) {
        throw new UserError('There is nothing to rebuild from: the databases have not been set up.');
      }
      return [view, { database, snapshots, outbox: new Outbox(`tributary/${subgraph}`, Date.now) }];
    }),
  );
  return { documents, eventLog, sources: Object.fromEntries(sources) as RebuildDeps['sources'], now: Date.now };
}

/** Runs it until it ends or somebody interrupts it, and says in words what keeps it from ending well. */
async function told<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  try {
    return await work(interrupt.signal);
  } catch (error) {
    if (error instanceof RebuildRefused) throw new UserError(error.message, { cause: error });
    if (!(error instanceof RebuildInterrupted)) throw error;
    throw new UserError(
      'Interrupted. The same command goes on where it was; as long as the views have not been switched, ' +
        '`projections abort` drops what there is.',
      { cause: error },
    );
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  }
}

const STEPS: Readonly<Record<Progress['step'], string>> = {
  watch: 'look',
  publish: 'publish',
  project: 'project',
  check: 'check',
  retire: 'switched, waiting for readers',
  drop: 'drop',
};

/** One line that renews itself on a terminal, a line now and then elsewhere. */
class ProgressLine {
  private readonly onTerminal = process.stdout.isTTY;
  private lastAt = -Infinity;
  private lastStep = '';
  private rate: { readonly at: number; readonly done: number } | null = null;

  constructor(private readonly print: (text: string) => void) {}

  show(progress: Progress): void {
    const now = performance.now();
    const text = this.text(progress, now);
    if (this.onTerminal) {
      process.stdout.write(`\r\x1b[2K${cut(text, textWidth() - 1)}`);
      return;
    }
    if (progress.step === this.lastStep && now - this.lastAt < LINE_MS) return;
    this.lastAt = now;
    this.lastStep = progress.step;
    this.print(text);
  }

  end(): void {
    if (this.onTerminal) process.stdout.write('\r\x1b[2K');
  }

  private text({ step, views, detail }: Progress, now: number): string {
    const parts = [STEPS[step]];
    if (step === 'publish') parts.push(`${stateText(views)}${this.left(views, now)}`);
    if (detail !== null) parts.push(detail);
    return parts.join(': ');
  }

  /** How long publishing will take at the rate of this run. */
  private left(views: Rebuild['views'], now: number): string {
    const { done, total } = sumOf(views);
    this.rate ??= { at: now, done };
    const { at, done: before } = this.rate;
    if (done === before || now - at < 1_000) return '';
    return `, ${formatDuration(((now - at) / (done - before)) * (total - done))} left`;
  }
}

/** `orders 1,200 of 10,000, users 0 of 4 (12 %)`. */
function stateText(views: Rebuild['views']): string {
  const { done, total } = sumOf(views);
  const each = viewsOf({ views }).map((view) => {
    const { published = 0, total: all = 0 } = views[view] ?? {};
    return `${view} ${published.toLocaleString('en')} of ${all.toLocaleString('en')}`;
  });
  return `${each.join(', ')} (${total === 0 ? 100 : Math.floor((done / total) * 100)} %)`;
}

function sumOf(views: Rebuild['views']): { done: number; total: number } {
  const all = Object.values(views);
  const done = all.reduce((sum, { published }) => sum + published, 0);
  // More may have come since they were counted.
  return { done, total: all.reduce((sum, { published, total }) => sum + Math.max(total, published), 0) };
}

function rebuiltText(rebuilt: readonly Rebuilt[]): string[] {
  const right = true;
  const columns = [
    { title: 'VIEW' },
    { title: 'GENERATION', right },
    { title: 'DOCUMENTS', right },
    { title: 'CHECKED', right },
    { title: 'LEFT OUT', right },
  ];
  const rows = rebuilt.map(({ view, generation, documents, checked }) => [
    view,
    String(generation),
    ...[documents, checked?.wanted, checked?.leftOut].map((count) => count?.toLocaleString('en') ?? 'before'),
  ]);
  const leftOut = rebuilt.reduce((sum, { checked }) => sum + (checked?.leftOut ?? 0), 0);
  const lines = table(columns, rows);
  if (leftOut > 0) {
    lines.push(`Left out: ${amount(leftOut, 'document')} of old generations that no database has in that version.`);
  }
  return lines;
}
