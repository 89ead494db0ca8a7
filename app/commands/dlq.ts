import { Command } from 'commander';
import { DeadLetters, type Change, type Survey } from '../../shared/dead-letters/dead-letters.js';
import { DocumentLetters } from '../../shared/dead-letters/documents.js';
import { parseDuration } from '../../shared/time/duration.js';
import type { LetterState, Selection } from '../../shared/dead-letters/letter.js';
import { RowLetters } from '../../shared/dead-letters/rows.js';
import { UserError, WRITE_SUBGRAPHS, type Toolbox } from '../toolbox.js';
import { letterText, surveyText } from './dlq-text.js';
import { amount, say } from './text.js';

/** As many are changed without asking. */
const UNASKED = 100;

/** As many are listed for people unless told; scripts get all. */
const LISTED = 50;

interface Filters {
  readonly consumer?: string;
  readonly topic?: string;
  readonly type?: string;
  readonly key?: string;
  readonly error?: string;
  readonly olderThan?: string;
  readonly newerThan?: string;
  readonly limit?: string;
}

interface ListOptions extends Filters {
  readonly state: string;
  readonly json?: true;
}

interface ChangeOptions extends Filters {
  readonly all?: true;
  readonly yes?: true;
  readonly dryRun?: true;
}

/** `tributary dlq list | show | redrive | drop`. */
export function dlqCommand(toolbox: Toolbox): Command {
  const dlq = new Command('dlq').description(
    'what failed for good, of every consumer: look at it, send it back, drop it',
  );

  filtered(dlq.command('list').description('the newest dead letters, and which errors there are'))
    .option('--state <state>', 'dead, waiting (for their next attempt) or all', 'dead')
    .option('--limit <n>', `list so many, ${LISTED} unless told; with --json all`)
    .option('--json', 'one object per line, newest first')
    .action(async (options: ListOptions) => list(toolbox, options));

  dlq
    .command('show')
    .description('all of one: error, headers, payload, and what a redrive will do')
    .argument('<id>', 'as `dlq list` names it')
    .option('--json', 'as one object')
    .action(async (id: string, options: { json?: true }) => show(toolbox, id, options));

  changing(
    dlq.command('redrive').description('send letters back to the one consumer that failed, in the order of their key'),
  ).action(async (ids: string[], options: ChangeOptions) => redrive(toolbox, ids, options));

  changing(dlq.command('drop').description('remove letters for good; their copies in <topic>.dlq stay')).action(
    async (ids: string[], options: ChangeOptions) => drop(toolbox, ids, options),
  );

  return dlq;
}

const filtered = (command: Command): Command =>
  command
    .option('--consumer <name>', 'of this consumer: order.stock, query.views')
    .option('--topic <topic>', 'from this topic')
    .option('--type <type>', 'of this type of event: stock.reserved')
    .option('--key <key>', 'of this key: the id of the aggregate')
    .option('--error <text>', 'whose error contains this; case does not count')
    .option('--older-than <duration>', 'that died longer ago: 90s, 10m, 2h, 3d')
    .option('--newer-than <duration>', 'that died less long ago');

const changing = (command: Command): Command =>
  filtered(command.argument('[ids...]', 'as `dlq list` names them, instead of filters'))
    .option('--all', 'all there are')
    .option('--limit <n>', 'no more than so many: to try it with a few')
    .option('--dry-run', 'tell what it would do')
    .option('--yes', `do not ask, however many there are: above ${UNASKED} it asks`);

async function list(toolbox: Toolbox, options: ListOptions): Promise<void> {
  const { state } = options;
  if (!isState(state)) throw new UserError('--state is dead, waiting or all.');
  const json = options.json === true;
  const limit = limitOf(options) ?? (json ? Number.MAX_SAFE_INTEGER : LISTED);
  const survey = await lettersOf(toolbox).survey({ ...selectionOf(options), state }, limit);
  if (json) for (const head of survey.newest) toolbox.print(JSON.stringify(head));
  else say(toolbox, surveyText(survey, { state, now: Date.now() }));
  tellAway(toolbox, survey);
}

async function show(toolbox: Toolbox, id: string, options: { json?: true }): Promise<void> {
  const letters = lettersOf(toolbox);
  assertIds(letters, [id]);
  const letter = await letters.find(id);
  if (letter === null) throw new UserError(`There is no ${id} (any more): it was handled or dropped.`);
  const around = await letters.surroundings(letter);
  if (options.json === true) toolbox.print(JSON.stringify({ ...letter, surroundings: around }));
  else say(toolbox, letterText(letter, around, Date.now()));
}

async function redrive(toolbox: Toolbox, ids: readonly string[], options: ChangeOptions): Promise<void> {
  const letters = lettersOf(toolbox);
  const meant = await decide(toolbox, letters, ids, options, 'send back');
  if (meant === null) return;
  const change = await letters.redrive(meant, progress(toolbox, meant.length));
  if (change.changed > 0) {
    toolbox.print(`${amount(change.changed, 'dead letter')} sent back. Running workers try them within seconds.`);
  }
  tellRest(toolbox, change);
}

async function drop(toolbox: Toolbox, ids: readonly string[], options: ChangeOptions): Promise<void> {
  const letters = lettersOf(toolbox);
  const meant = await decide(toolbox, letters, ids, options, 'drop for good');
  if (meant === null) return;
  const change = await letters.drop(meant, progress(toolbox, meant.length));
  if (change.changed > 0) {
    toolbox.print(`${amount(change.changed, 'dead letter')} dropped. The copies in the dead-letter topics stay.`);
  }
  tellRest(toolbox, change);
}

/** The ids that are meant, once it is clear that they are; null where nothing is to be done. */
async function decide(
  toolbox: Toolbox,
  letters: DeadLetters,
  ids: readonly string[],
  options: ChangeOptions,
  what: string,
): Promise<readonly string[] | null> {
  const selection: Selection = { ...selectionOf(options), state: 'dead' };
  const filters = Object.values(selection).filter((value) => value !== undefined).length > 1;
  const ways = [ids.length > 0, filters, options.all === true].filter(Boolean).length;
  if (ways !== 1) throw new UserError('Say which: ids, or filters such as --consumer, or --all. One of the three.');
  assertIds(letters, ids);

  const limit = limitOf(options);
  const survey = ids.length > 0 ? null : await letters.survey(selection, LISTED);
  const meant = (survey?.ids ?? [...new Set(ids)]).slice(0, limit);
  if (survey !== null) {
    say(toolbox, surveyText(survey, { state: 'dead', now: Date.now(), brief: options.dryRun !== true }));
    tellAway(toolbox, survey);
  }
  if (options.dryRun === true) {
    say(toolbox, ['', `It would ${what} ${amount(meant.length, 'dead letter')}; nothing was changed.`]);
    return null;
  }
  if (meant.length === 0) return null;
  if (meant.length > UNASKED && options.yes !== true) {
    const agreed = await toolbox.confirm(
      `${what[0]?.toUpperCase()}${what.slice(1)} ${amount(meant.length, 'dead letter')}?`,
    );
    if (!agreed) {
      throw new UserError(`Nothing was changed. To ${what} more than ${UNASKED} without being asked, add --yes.`);
    }
  }
  return meant;
}

/** Tells now and then how far it is, when there is much to do. */
const progress = (toolbox: Toolbox, total: number) => (done: number) => {
  if (done % 1_000 === 0 && done < total)
    toolbox.print(`${done.toLocaleString('en')} of ${total.toLocaleString('en')}`);
};

function tellRest(toolbox: Toolbox, change: Change): void {
  if (change.unchanged > 0) {
    toolbox.print(`${amount(change.unchanged, 'letter')} not dead any more, and left alone.`);
  }
  tellAway(toolbox, change);
}

/** Part of the answer is missing, and scripts have to see that too. */
function tellAway(toolbox: Toolbox, { away }: Pick<Survey, 'away'>): void {
  if (away.length === 0) return;
  toolbox.print(`Cannot be reached, and not counted in: ${away.map((name) => STORES[name] ?? name).join(', ')}.`);
  process.exitCode = 1;
}

const STORES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(WRITE_SUBGRAPHS.map((name) => [name, `the database of ${name}`])),
  query: 'the document store',
};

/** Every place where consumers keep what failed. */
function lettersOf(toolbox: Toolbox): DeadLetters {
  const rows = WRITE_SUBGRAPHS.map(
    (name) => new RowLetters({ name, open: () => toolbox.database(name), now: Date.now }),
  );
  return new DeadLetters({ sources: [...rows, new DocumentLetters(() => toolbox.documents())], now: Date.now });
}

function selectionOf({ consumer, topic, type, key, error, olderThan, newerThan }: Filters): Omit<Selection, 'state'> {
  return {
    consumer,
    topic,
    type,
    key,
    error,
    olderThanMs: durationOf('--older-than', olderThan),
    newerThanMs: durationOf('--newer-than', newerThan),
  };
}

function durationOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const milliseconds = parseDuration(text);
  if (milliseconds === null) throw new UserError(`${option} takes a duration such as 90s, 10m, 2h or 3d.`);
  return milliseconds;
}

function limitOf({ limit }: Filters): number | undefined {
  if (limit === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(limit)) throw new UserError('--limit takes a whole number from 1.');
  return Number(limit);
}

function assertIds(letters: DeadLetters, ids: readonly string[]): void {
  const strange = ids.filter((id) => !letters.isId(id));
  if (strange.length === 0) return;
  throw new UserError(
    `${strange.join(', ')} cannot be the id of a dead letter: they look like order:42 in \`dlq list\`.`,
  );
}

const isState = (text: string): text is LetterState => text === 'dead' || text === 'waiting' || text === 'all';
