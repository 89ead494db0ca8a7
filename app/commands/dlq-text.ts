import type { Survey } from '../../shared/dead-letters/dead-letters.js';
import { formatDuration } from '../../shared/time/duration.js';
import type { Letter, LetterHead, LetterState, Surroundings } from '../../shared/dead-letters/letter.js';
import { fromRecord } from '../../shared/events/event.js';
import { isForeign } from '../../subgraphs/query/wallet-core.js';
import { amount, cut, harmless, table, textWidth } from './text.js';

/** Errors told one by one above a list. */
const GROUPS = 10;

export interface SurveyTextOptions {
  readonly state: LetterState;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Only how many there are, and which errors. */
  readonly brief?: boolean;
}

/** How many there are, which errors they have, and the newest of them; never a payload. */
export function surveyText(
  { total, groups, newest, away }: Survey,
  { state, now, brief }: SurveyTextOptions,
): string[] {
  const things = state === 'dead' ? 'dead letter' : state === 'waiting' ? 'waiting message' : 'parked message';
  if (total === 0) return [away.length === 0 ? `No ${things}s.` : `No ${things}s in what could be reached.`];
  const lines = [`${amount(total, things)}.`, '', ...groupsText(groups)];
  if (brief === true) return [...lines, ''];
  lines.push('', ...lettersText(newest, state, now));
  if (newest.length < total)
    lines.push('', `The newest ${newest.length.toLocaleString('en')} of them; --limit shows more.`);
  return lines;
}

function groupsText(groups: Survey['groups']): string[] {
  const some = groups.slice(0, GROUPS);
  const columns = [{ title: 'COUNT', right: true }, { title: 'CONSUMER' }, { title: 'ERROR' }];
  const width = textWidth();
  const before = 5 + 2 + Math.max(...some.map(({ consumer }) => consumer.length), 8) + 2;
  const lines = table(
    columns,
    some.map(({ count, consumer, error }) => [count.toLocaleString('en'), consumer, cut(error, width - before)]),
  );
  const rest = groups.slice(GROUPS).reduce((sum, { count }) => sum + count, 0);
  return rest === 0 ? lines : [...lines, `${rest.toLocaleString('en').padStart(5)}  with other errors`];
}

/** Two lines each: what it is, and below it who failed and why. */
function lettersText(letters: readonly LetterHead[], state: LetterState, now: number): string[] {
  const withState = state !== 'dead';
  const columns = [
    { title: 'ID' },
    ...(withState ? [{ title: 'STATE' }] : []),
    { title: 'AGE', right: true },
    { title: 'TRIES', right: true },
    { title: 'TYPE' },
    { title: 'PLACE' },
    { title: 'KEY' },
  ];
  const [head = '', ...rows] = table(
    columns,
    letters.map((letter) => [
      letter.id,
      ...(withState ? [letter.state.toLowerCase()] : []),
      formatDuration(now - letter.since),
      String(letter.attempts),
      letter.type ?? '-',
      placeOf(letter),
      letter.key ?? '-',
    ]),
  );
  const below = letters.map(({ consumer, error }) =>
    cut(harmless(`    ${consumer}: ${error ?? 'queues behind an earlier one of its key'}`), textWidth()),
  );
  return [head, ...rows.flatMap((row, at) => [row, below[at] ?? ''])];
}

const placeOf = ({ topic, partition, offset }: LetterHead): string => `${topic}/${partition}/${offset}`;

/** Everything about one letter, payload included. */
export function letterText(letter: Letter, around: Surroundings | null, now: number): string[] {
  const { record } = letter;
  const when = (at: number): string => `${new Date(at).toISOString()}, ${formatDuration(now - at)} ago`;
  return [
    `${letter.id}: ${letter.state === 'DEAD' ? 'dead' : 'waiting for its next attempt'}`,
    '',
    ...pairs([
      ['consumer', letter.consumer],
      ['error', letter.error ?? 'none: it only queues behind an earlier one of its key'],
      ['attempts', `${letter.attempts}, since it was parked or last sent back`],
      [letter.state === 'DEAD' ? 'died' : 'parked', when(letter.since)],
      ...(letter.dueAt === null ? [] : [['next attempt', new Date(letter.dueAt).toISOString()] as const]),
      ['place', `${placeOf(letter)}, in the log since ${when(record.timestamp)}`],
      ['key', letter.key ?? 'none'],
    ]),
    '',
    'headers',
    ...pairs(Object.entries(record.headers)).map((line) => `  ${line}`),
    '',
    'payload',
    ...pretty(record.value).map((line) => `  ${line}`),
    '',
    'redrive',
    ...prospect(letter, around).map((line) => `  ${line}`),
  ].map(harmless);
}

function pairs(entries: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

function pretty(value: string): string[] {
  try {
    return JSON.stringify(JSON.parse(value), null, 2).split('\n');
  } catch {
    return value.split('\n');
  }
}

/** What a redrive of the letter will do, in sentences. */
function prospect(letter: Letter, around: Surroundings | null): string[] {
  const { id, consumer, key } = letter;
  if (letter.state === 'WAITING') return ['Nothing: it is tried again anyway.'];
  const reason = unreadable(letter);
  if (reason !== null) return [`It would fail again at once: this version cannot read the record (${reason}).`];
  if (around === null) {
    return [
      `tributary dlq redrive ${id}`,
      'A running projector applies it within seconds; what is newer in the views stays.',
      'If that fails it is dead again.',
    ];
  }
  if (around.handled) return [`Its effect is there already: \`tributary dlq redrive ${id}\` only removes it.`];
  const { deadBefore, deadAfter } = around;
  return [
    `tributary dlq redrive ${id}`,
    `Only ${consumer} gets it, within seconds.`,
    'If that fails it is tried again after 1, 2, 4, 8 and 16 s; then it is dead again.',
    ...(key === null ? [] : ['Its effect happens once. Later events of its key wait until it worked or died.']),
    ...(deadBefore + deadAfter === 0
      ? []
      : [
          `Others of its key are dead too, ${deadBefore} before it and ${deadAfter} after it. All of them, in order:`,
          `tributary dlq redrive --consumer ${consumer} --key ${key}`,
        ]),
  ];
}

function unreadable({ record }: Letter): string | null {
  // Other services' records have no headers of ours, and are read by other rules.
  if (isForeign(record)) return null;
  try {
    fromRecord(record);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error);
  }
}
