import { setTimeout as delay } from 'node:timers/promises';
import { collectionOf, generationsOf, readGenerations } from '../../../subgraphs/query/generations.js';
import { howToGoOn, namesOf } from '../../../subgraphs/query/rebuild-claim.js';
import { COLLECTIONS, isView, PROGRESS, type ProgressDoc } from '../../../subgraphs/query/views.js';
import { amount } from '../../commands/text.js';
import { CONSUMERS } from '../consumers.js';
import { NotChecked, ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import { reasonOf } from '../words.js';

const area = 'views';

/** A rebuild that runs shows it every second. */
const ALIVE_MS = 2_500;

/** More places than all groups have partitions. */
const ALL_PLACES = 10_000;

const reachable: Check = {
  name: 'document store',
  area,
  async run(subject) {
    const { config, secrets } = subject;
    const stores = await subject.stores();
    const { title, variable } = stores.titles.documents;
    try {
      if ((await stores.documents()) !== null) return [ok(`${title} answers`)];
      return [skipped(`there are no views in ${title} yet: the first start makes them`)];
    } catch (error) {
      const todo =
        config.engines.kind === 'servers'
          ? `Start it, or look at ${variable} and the rights of its user.`
          : 'Restore the whole folder from a backup; its files belong together.';
      return [problem(`${title} cannot be used: ${reasonOf(error, secrets)}`, todo)];
    }
  },
};

const collections: Check = {
  name: 'collections',
  area,
  async run(subject) {
    const documents = await subject.documents();
    const found = await (await subject.stores()).collections();
    if (found === null) throw new NotChecked('a file makes them by itself');
    const doc = await readGenerations(documents);
    const missing: string[] = [];
    const slow: string[] = [];
    for (const { name, indexes } of COLLECTIONS) {
      const collection = isView(name) ? collectionOf(name, generationsOf(doc, name).current) : name;
      const there = found.get(collection);
      if (there === undefined) missing.push(collection);
      else if (indexes.some(({ fields }) => !there.includes(fields.join()))) slow.push(collection);
    }
    const setup = 'Run `tributary setup`, or start a query-api.';
    const findings: Finding[] = [];
    if (missing.length > 0) findings.push(problem(`there is no collection ${missing.join(', ')}`, setup));
    if (slow.length > 0) {
      findings.push(problem(`indexes are missing in ${slow.join(', ')}, so reads there go through everything`, setup));
    }
    return findings.length > 0 ? findings : [ok(`all ${COLLECTIONS.length} are there, with their indexes`)];
  },
};

const rebuild: Check = {
  name: 'rebuild',
  area,
  async run(subject) {
    const documents = await subject.documents();
    const { rebuild: before } = await readGenerations(documents);
    if (before === null) return [ok('no rebuild is under way')];
    if (before.owner !== null) {
      await delay(ALIVE_MS);
      const { rebuild: after } = await readGenerations(documents);
      if (after === null) return [ok('a rebuild has just ended')];
      if (after.beat !== before.beat) return [ok(`a rebuild of ${namesOf(after)} is under way (${after.where})`)];
    }
    const since = new Date(before.startedAt).toISOString();
    return [
      warning(
        `a rebuild of ${namesOf(before)}, begun ${since}, was interrupted at its step ${before.step}; every change is written twice meanwhile`,
        `With \`tributary\` before it: ${howToGoOn(before)}`,
      ),
    ];
  },
};

const progress: Check = {
  name: 'progress',
  area,
  async run(subject) {
    const documents = await subject.documents();
    const log = await subject.eventLog();
    const stored = await documents.find<ProgressDoc>(PROGRESS, {
      sort: { field: 'id', direction: 'asc' },
      limit: ALL_PLACES,
    });
    if (stored.length === 0) return [skipped('nothing was ever projected')];
    const logId = await log.logId();
    if (logId === null) throw new NotChecked('the log has no name, which the check of topics reports');
    const own = stored.map(({ doc }) => doc).filter((doc) => doc.log === logId);
    if (own.length === 0) {
      return [
        problem(
          'the views come from another event log than this one',
          'If the log was made anew, `tributary projections rebuild`; otherwise look at which servers the settings name.',
        ),
      ];
    }
    const projectors = CONSUMERS.filter(({ process }) => process === 'projector');
    const there = await log.topics();
    const topics = new Set(projectors.flatMap((one) => one.topics.filter((topic) => there.has(topic))));
    let behind = 0;
    for (const name of topics) {
      // Asked after the views were read: what came in between they cannot have read.
      const ends = await log.ends(name);
      for (const { consumer, topic, partition, next } of own) {
        const end = topic === name ? ends.get(partition) : undefined;
        if (end === undefined || !projectors.some(({ group }) => group === consumer)) continue;
        if (next > end) {
          return [
            problem(
              `the views have read ${topic} up to ${next}, but it ends at ${end}: the log has lost records`,
              'Restore the log, or go on from the databases: docs/operations.md tells how in its part on backups.',
            ),
          ];
        }
        behind += end - next;
      }
    }
    return [ok(behind === 0 ? 'the views have everything' : `${amount(behind, 'record')} on their way into the views`)];
  },
};

export const views: readonly Check[] = [reachable, collections, rebuild, progress];
