import { Command } from 'commander';
import { formatDuration } from '../../shared/time/duration.js';
import type { Database } from '../../shared/database/port.js';
import { EngineUnavailable } from '../../shared/errors/errors.js';
import { isPrepared, outboxStatus, retrySetAside, type OutboxStatus } from '../../shared/outbox/status.js';
import { UserError, WRITE_SUBGRAPHS, type Toolbox } from '../toolbox.js';
import { amount, cut, harmless, say, table, textWidth } from './text.js';

/** A relay publishes within milliseconds: what waits longer than this is stuck. */
const STUCK_MS = 60_000;

/** Aggregates told one by one per database. */
const LISTED = 20;

/** A database's outbox; null where it cannot be reached. */
interface Found {
  readonly database: string;
  readonly status: OutboxStatus | null;
}

/** `tributary outbox status | retry`. */
export function outboxCommand(toolbox: Toolbox): Command {
  const outbox = new Command('outbox').description('events on their way from the databases to the log');

  outbox
    .command('status')
    .description('what waits, what is set aside and why, who leads; exits with 1 if something is stuck')
    .option('--json', 'one object per database and line')
    .action(async (options: { json?: true }) => status(toolbox, options));

  outbox
    .command('retry')
    .description('let the relay send again what the log refused, in the order of each aggregate')
    .argument('[topic]', 'what was set aside of this topic')
    .argument('[aggregate]', 'only of this aggregate')
    .option('--all', 'everything that was set aside')
    .action(async (topic: string | undefined, aggregate: string | undefined, options: { all?: true }) =>
      retry(toolbox, topic, aggregate, options),
    );

  return outbox;
}

async function status(toolbox: Toolbox, options: { json?: true }): Promise<void> {
  const all: Found[] = [];
  await inEach(toolbox, async (database, opened) => {
    all.push({
      database,
      status: opened && (await outboxStatus({ name: database, database: opened, now: Date.now() })),
    });
  });
  if (options.json === true) {
    for (const { database, status: one } of all) {
      toolbox.print(JSON.stringify({ database, reachable: one !== null, stuck: isStuck(one), ...one }));
    }
  } else {
    say(toolbox, statusText(all));
  }
  if (all.some((one) => isStuck(one.status))) process.exitCode = 1;
}

async function retry(
  toolbox: Toolbox,
  topic: string | undefined,
  aggregate: string | undefined,
  options: { all?: true },
): Promise<void> {
  if ((topic === undefined) === (options.all !== true)) {
    throw new UserError('Say what to send again: `outbox retry <topic> [aggregate]`, or --all.');
  }
  let rows = 0;
  const away: string[] = [];
  await inEach(toolbox, async (name, database) => {
    if (database === null) away.push(name);
    else rows += await retrySetAside(database, topic, aggregate);
  });
  toolbox.print(
    rows === 0 ? 'Nothing of that is set aside.' : `${amount(rows, 'row')} will be sent again by the relay.`,
  );
  if (away.length === 0) return;
  toolbox.print(`Cannot be reached: ${away.join(', ')}.`);
  process.exitCode = 1;
}

/** Does something for the database of every write subgraph that is prepared; null stands for one that is away. */
async function inEach(
  toolbox: Toolbox,
  work: (name: string, database: Database | null) => Promise<void>,
): Promise<void> {
  for (const subgraph of WRITE_SUBGRAPHS) {
    const name = `tributary_${subgraph}`;
    try {
      const database = await toolbox.database(subgraph);
      if (await isPrepared(database)) await work(name, database);
    } catch (error) {
      if (!(error instanceof EngineUnavailable)) throw error;
      await work(name, null);
    }
  }
}

/** Whether somebody has to do something. */
const isStuck = (status: OutboxStatus | null): boolean =>
  status === null || status.setAside.length > 0 || (status.oldestMs ?? 0) > STUCK_MS;

function statusText(all: readonly Found[]): string[] {
  if (all.length === 0) return ['There is no outbox yet: the databases have not been set up.'];
  const right = true;
  const columns = [
    { title: 'DATABASE' },
    { title: 'WAITING', right },
    { title: 'OLDEST', right },
    { title: 'SET ASIDE', right },
    { title: 'TO PURGE', right },
    { title: 'RELAY' },
  ];
  const lines = table(
    columns,
    all.map(({ database, status: one }) => {
      if (one === null) return [database, '?', '?', '?', '?', 'the database cannot be reached'];
      const aside = one.setAside.reduce((sum, { rows }) => sum + rows, 0);
      const oldest = one.oldestMs === null ? '-' : formatDuration(one.oldestMs);
      const relay = one.led === null ? 'in the running process' : one.led ? 'leads' : 'nobody leads';
      return [database, ...[one.waiting, oldest, aside, one.unpurged].map((cell) => cell.toLocaleString('en')), relay];
    }),
  );
  for (const { database, status: one } of all) {
    if (one !== null && one.setAside.length > 0) lines.push('', ...asideText(database, one.setAside));
  }
  const stuck = all.filter((one) => isStuck(one.status)).map(({ database }) => database);
  lines.push('', stuck.length === 0 ? 'Nothing is stuck.' : `Stuck: ${stuck.join(', ')}.`);
  return lines;
}

function asideText(database: string, aside: OutboxStatus['setAside']): string[] {
  const lines = aside
    .slice(0, LISTED)
    .flatMap(({ topic, aggregateId, rows, refused }) => [
      `  ${amount(rows, 'row')} of ${topic} ${aggregateId ?? '(no aggregate)'}`,
      cut(harmless(`    ${refused ?? 'they follow one that is gone'}`), textWidth()),
    ]);
  if (aside.length > LISTED) lines.push(`  and ${amount(aside.length - LISTED, 'more aggregate')}; --json lists all`);
  return [
    `${database} has set aside what the log refused; once the cause is gone: tributary outbox retry <topic> <aggregate>`,
    ...lines,
  ];
}
