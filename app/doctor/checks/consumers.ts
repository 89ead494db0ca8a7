import { DeadLetters } from '../../../shared/dead-letters/dead-letters.js';
import { DocumentLetters } from '../../../shared/dead-letters/documents.js';
import type { LetterSource } from '../../../shared/dead-letters/letter.js';
import { RowLetters } from '../../../shared/dead-letters/rows.js';
import { formatDuration } from '../../../shared/time/duration.js';
import { amount } from '../../commands/text.js';
import { WRITE_SUBGRAPHS } from '../../toolbox.js';
import { ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import { CONSUMERS, type ConsumerSpec } from '../consumers.js';
import type { GroupView, LogView } from '../log-view.js';
import type { Subject } from '../subject.js';
import { eachOf } from './each.js';

const area = 'consumers';

/** Consumers are milliseconds behind; who has left something alone for longer is stuck, or cannot keep up. */
const BEHIND_MS = 60_000;

interface Standing {
  readonly spec: ConsumerSpec;
  readonly group: GroupView;
  /** Records it has not dealt with. */
  readonly lag: number;
  /** Age of the oldest of them, in milliseconds, or what it is at least. */
  readonly age: number;
}

const lag: Check = {
  name: 'lag',
  area,
  async run(subject) {
    const log = await subject.eventLog();
    const there = await log.topics();
    const { inUse } = await subject.stores();
    const specs = CONSUMERS.map((spec) => ({ ...spec, topics: spec.topics.filter((topic) => there.has(topic)) }));
    const standings: Standing[] = [];
    for (const spec of specs) standings.push(await standingOf(log, spec, subject.now()));
    if (standings.every(({ group }) => !group.known)) return [skipped('no worker has ever run here')];
    const findings = standings.flatMap((one) => lagFinding(one, inUse) ?? []);
    const alone = standings.filter((one) => one.group.members === 0 && one.lag === 0);
    if (alone.length > 0) {
      findings.push(
        warning(
          `nobody reads for ${alone.map(({ spec }) => spec.group).join(', ')}, which have read everything so far`,
          `Start ${startOf(alone)}.`,
        ),
      );
    }
    const total = standings.reduce((sum, one) => sum + one.lag, 0);
    return findings.length > 0
      ? findings
      : [ok(`all ${standings.length} groups keep up (records on their way: ${total})`)];
  },
};

async function standingOf(log: LogView, spec: ConsumerSpec, now: number): Promise<Standing> {
  const group = await log.group(spec.group, spec.topics);
  const behind = group.places.filter(({ position, next }) => next > position);
  const ages: number[] = [];
  for (const place of behind) ages.push((await log.age(place, now)) ?? 0);
  return {
    spec,
    group,
    lag: behind.reduce((sum, { position, next }) => sum + next - position, 0),
    age: Math.max(0, ...ages),
  };
}

/** Undefined where there is nothing to say. */
function lagFinding({ spec, group, lag: records, age }: Standing, inUse: boolean | null): Finding | undefined {
  if (records === 0) return undefined;
  const since = age < BEHIND_MS ? '' : `, the oldest for ${formatDuration(age)} or longer`;
  const what = `${spec.group} has ${amount(records, 'record')} to read${since}`;
  if (inUse === false) return warning(what, 'Start Tributary, which reads them.');
  if (group.members === 0) return problem(`${what}, and nobody does it`, `Start ${spec.process}.`);
  if (age < BEHIND_MS) return undefined;
  return problem(what, `Look into the log of ${spec.process}; if it merely has too much to do, start another one.`);
}

const startOf = (standings: readonly Standing[]): string =>
  [...new Set(standings.map(({ spec }) => spec.process))].join(', ');

const deadLetters: Check = {
  name: 'dead letters',
  area,
  run: (subject) => eachOf([...WRITE_SUBGRAPHS, 'query'] as const, async (name) => deadOf(name, subject)),
};

async function deadOf(name: (typeof WRITE_SUBGRAPHS)[number] | 'query', subject: Subject): Promise<readonly Finding[]> {
  let source: LetterSource;
  if (name === 'query') {
    const documents = await subject.documents();
    source = new DocumentLetters(() => Promise.resolve(documents));
  } else {
    const database = await subject.database(name);
    source = new RowLetters({ name, open: () => Promise.resolve(database), now: subject.now });
  }
  const { groups, total, away } = await new DeadLetters({ sources: [source], now: subject.now }).survey(
    { state: 'dead' },
    0,
  );
  if (away.length > 0)
    return [problem(`the dead letters of ${name} cannot be read`, 'Look at what is said of its store above.')];
  const counts = new Map<string, number>();
  for (const { consumer, count } of groups) counts.set(consumer, (counts.get(consumer) ?? 0) + count);
  if (total === 0) return [ok(`${name}: none`)];
  return [...counts].map(([consumer, count]) =>
    problem(
      `${consumer} has given up on ${amount(count, 'event')}`,
      `See why with \`tributary dlq list --consumer ${consumer}\`; docs/dead-letters.md tells what then.`,
    ),
  );
}

export const consumers: readonly Check[] = [lag, deadLetters];
