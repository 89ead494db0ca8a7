import { topicSpecs } from '../../../shared/events/catalogue.js';
import type { TopicSpec } from '../../../shared/event-log/port.js';
import { formatDuration } from '../../../shared/time/duration.js';
import { CONSUMERS } from '../consumers.js';
import { NotChecked, ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import type { TopicView } from '../log-view.js';
import { reasonOf } from '../words.js';

const area = 'event log';

const DAY = 86_400_000;

/** How long reactions remember what they have handled: records that live longer would be handled again. */
const INBOX_MS = 31 * DAY;

/** Names the log; kept for ever. */
const LOG_ID = 'tributary.log-id';

const SETUP = 'Run `tributary setup`, or start any process.';

const reachable: Check = {
  name: 'event log',
  area,
  async run(subject) {
    const { config, secrets } = subject;
    const stores = await subject.stores();
    const { title, variable } = stores.titles.eventLog;
    try {
      const log = await stores.eventLog();
      if (log === null) return [skipped(`there is no event log in ${title} yet: the first start makes it`)];
      return [ok(log.brokers === null ? `${title} has a log` : `${title} answers (brokers: ${log.brokers})`)];
    } catch (error) {
      const todo =
        config.engines.kind === 'servers'
          ? `Start it, or look at ${variable} and the rights of its user.`
          : 'Restore the whole folder from a backup; its files belong together.';
      return [problem(`${title} cannot be used as an event log: ${reasonOf(error, secrets)}`, todo)];
    }
  },
};

const topics: Check = {
  name: 'topics',
  area,
  async run(subject) {
    const log = await subject.eventLog();
    const found = await log.topics();
    const wanted = topicSpecs();
    const missing = wanted.filter(({ name }) => !found.has(name)).map(({ name }) => name);
    const findings: Finding[] = [];
    if (missing.length > 0) findings.push(problem(`there is no topic ${missing.join(', ')}`, SETUP));
    for (const spec of wanted) {
      const topic = found.get(spec.name);
      if (topic !== undefined) findings.push(...topicFindings(spec, topic, log.brokers ?? 1));
    }
    if (log.brokers !== null && found.has('users') && !found.has(LOG_ID)) {
      findings.push(
        problem(`there is no topic ${LOG_ID}, which names this log`, `${SETUP} Old cursors get a GAP then.`),
      );
    }
    if ([...found.values()].some(({ retentionMs }) => retentionMs === undefined)) {
      findings.push(skipped('this user may not see the settings of topics'));
    }
    return findings.length > 0 ? findings : [ok(`all ${wanted.length} are there, as the catalogue has them`)];
  },
};

function topicFindings(spec: TopicSpec, topic: TopicView, brokers: number): Finding[] {
  const { name } = spec;
  const findings: Finding[] = [];
  if (topic.partitions !== spec.partitions) {
    const more = topic.partitions > spec.partitions;
    findings.push(
      problem(
        `${name} has ${topic.partitions} partitions instead of ${spec.partitions}` +
          (more
            ? ': keys have moved, so events of one thing may overtake each other, and cursors are worth nothing'
            : ''),
        'It cannot be changed back. While everything is stopped and all is read, delete the topic and run `tributary setup`.',
      ),
    );
  }
  findings.push(...retentionFindings(spec, topic));
  const { broker } = topic;
  if (broker === null) return findings;
  if (broker.cleanup !== 'delete') {
    findings.push(
      problem(
        `${name} has cleanup.policy ${broker.cleanup}: Kafka drops events in the middle of a story`,
        'Set its cleanup.policy to delete.',
      ),
    );
  }
  if (broker.inSync < broker.copies) {
    findings.push(
      warning(`${name} has ${broker.inSync} of ${broker.copies} copies up to date`, 'Look for a broker that is away.'),
    );
  }
  if (brokers > 1) findings.push(...copiesFindings(name, broker));
  return findings;
}

function retentionFindings({ name, retentionMs: wanted }: TopicSpec, { retentionMs, broker }: TopicView): Finding[] {
  if (retentionMs === undefined) return [];
  const isRead = CONSUMERS.some(({ topics: read }) => (read as readonly string[]).includes(name));
  const kept = retentionMs === null ? 'for ever' : `for ${formatDuration(retentionMs)}`;
  const set = `Set its retention.ms to ${wanted}.`;
  if (retentionMs !== null && retentionMs < wanted) {
    return [
      problem(
        `${name} keeps records ${kept} instead of ${formatDuration(wanted)}: a worker that is away for longer misses them for good`,
        set,
      ),
    ];
  }
  if (isRead && (retentionMs === null || retentionMs > INBOX_MS)) {
    const memory = formatDuration(INBOX_MS);
    return [
      problem(
        `${name} keeps records ${kept}, but reactions remember for ${memory} what they have handled: read again, older ones would have their effect twice`,
        set,
      ),
    ];
  }
  if (broker !== null && broker.retentionBytes !== null) {
    return [
      warning(
        `${name} drops records when a partition has ${broker.retentionBytes.toLocaleString('en')} bytes, however young they are`,
        'Set its retention.bytes to -1.',
      ),
    ];
  }
  return [];
}

function copiesFindings(name: string, { copies, minInSync }: NonNullable<TopicView['broker']>): Finding[] {
  if (copies === 1) {
    return [
      warning(
        `${name} has one copy: with its broker events are lost`,
        'Give it more; for new topics set KAFKA_REPLICATION.',
      ),
    ];
  }
  if (minInSync >= copies) {
    return [
      warning(
        `${name} takes no events as soon as one broker is away: min.insync.replicas is ${minInSync}, as many as copies`,
        'Set min.insync.replicas to one less than there are copies.',
      ),
    ];
  }
  if (minInSync === 1) {
    return [
      warning(
        `${name} counts events as kept that one broker alone has: min.insync.replicas is 1`,
        'Set min.insync.replicas to 2.',
      ),
    ];
  }
  return [];
}

const brokers: Check = {
  name: 'brokers',
  area,
  async run(subject) {
    const log = await subject.eventLog();
    if (log.brokers === null) throw new NotChecked('the log is a file');
    if (log.autoCreates === null) throw new NotChecked('this user may not see the settings of the brokers');
    if (!log.autoCreates) return [ok('topics appear only when somebody makes them')];
    return [
      warning(
        'a topic appears when anybody asks for it, with the partitions and the retention of the brokers',
        'Set auto.create.topics.enable=false on the brokers.',
      ),
    ];
  },
};

export const eventLog: readonly Check[] = [reachable, topics, brokers];
