/**
 * Writes docs/asyncapi.json, an AsyncAPI 3 description of every topic and event, from shared/events/catalogue.ts.
 * `--check` writes nothing and fails when the file is stale. `npm run asyncapi`.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { CATALOGUE, deadLetterTopic, TOPICS, type EventType, type Topic } from '../shared/events/catalogue.js';

const OUTPUT = 'docs/asyncapi.json';

const text = (description: string, more: object = {}) => ({ type: 'string', description, ...more });

/** CloudEvents 1.0 in Kafka's binary mode. */
const headersOf = (type: EventType) => ({
  type: 'object',
  required: ['ce_specversion', 'ce_id', 'ce_type', 'ce_source', 'ce_subject', 'ce_time', 'ce_sequence', 'content-type'],
  properties: {
    ce_specversion: { const: '1.0' },
    ce_id: text('Unique to the event; repeats of it carry the same id.'),
    ce_type: { const: type },
    ce_source: text('The service that published it, such as tributary/order.'),
    ce_subject: text('Id of the aggregate.'),
    ce_time: text('When it happened.', { format: 'date-time' }),
    ce_sequence: text('Version of the aggregate after the event, a whole number from 1.', { pattern: '^[1-9][0-9]*$' }),
    traceparent: text('W3C trace context of the request that caused it.'),
    'content-type': { const: 'application/json' },
  },
});

/** What a dead letter has beyond the headers it came with. */
const DEAD_LETTER_HEADERS = {
  type: 'object',
  properties: {
    'x-error': text('Why it failed.'),
    'x-attempts': text('How often it was tried.'),
    'x-original-topic': text('Where it was published.'),
    'x-original-partition': text('Partition there.'),
    'x-original-offset': text('Offset there.'),
    'x-consumer': text('Which consumer gave up.'),
  },
};

const ref = (path: string) => ({ $ref: `#/${path}` });
const typesOf = (topic: Topic) =>
  (Object.keys(CATALOGUE) as EventType[]).filter((type) => CATALOGUE[type].topic === topic);
/** Dots separate the parts of a JSON path in some tools. */
const messageId = (type: EventType): string => type.replaceAll('.', '_');
const jsonSchema = (schema: z.ZodType): object => z.toJSONSchema(schema, { target: 'draft-7' });
const topics = Object.keys(TOPICS) as Topic[];

/** The document; nothing in it depends on where or when it is made. */
export function asyncApi() {
  const channel = (topic: Topic) => ({
    address: topic,
    description: TOPICS[topic].keyed
      ? `Events of one aggregate keep their order. Key: the aggregate's id. ${TOPICS[topic].partitions} partitions.`
      : 'The wire format of the Full Cycle Wallet Core: no key, one partition.',
    messages: Object.fromEntries(
      typesOf(topic).map((type) => [messageId(type), ref(`components/messages/${messageId(type)}`)]),
    ),
    bindings: { kafka: { partitions: TOPICS[topic].partitions } },
  });
  const deadLetters = (topic: Topic) => ({
    address: deadLetterTopic(topic),
    description: `What a consumer of ${topic} could not handle: the original key, headers and value, and why.`,
    messages: { dead_letter: ref('components/messages/dead_letter') },
    bindings: { kafka: { partitions: TOPICS[topic].partitions } },
  });
  const message = (type: EventType) => ({
    name: type,
    summary: CATALOGUE[type].summary,
    contentType: 'application/json',
    headers: headersOf(type),
    payload: jsonSchema(CATALOGUE[type].schema),
  });
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Tributary',
      version: '1.0.0',
      description:
        'Events carry the whole public state of their aggregate and its version. Delivery is at least once. ' +
        'Money is in cents and instants are milliseconds since the epoch, but for the two Wallet Core topics.',
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(
      topics.flatMap((topic): [string, object][] => [
        [topic, channel(topic)],
        [deadLetterTopic(topic), deadLetters(topic)],
      ]),
    ),
    operations: Object.fromEntries(
      topics.map((topic) => [`publish_${topic}`, { action: 'send', channel: ref(`channels/${topic}`) }]),
    ),
    components: {
      messages: {
        ...Object.fromEntries((Object.keys(CATALOGUE) as EventType[]).map((type) => [messageId(type), message(type)])),
        dead_letter: {
          name: 'dead letter',
          summary: 'A message that failed for good.',
          headers: DEAD_LETTER_HEADERS,
          payload: {},
        },
      },
    },
  };
}

async function main(): Promise<void> {
  const before = await readFile(OUTPUT, 'utf8').catch(() => '');
  const after = `${JSON.stringify(asyncApi(), null, 2)}\n`;
  if (before === after) return;
  if (process.argv.includes('--check')) {
    console.error(`Stale, run \`npm run asyncapi\`: ${OUTPUT}`);
    process.exitCode = 1;
    return;
  }
  await mkdir(dirname(OUTPUT), { recursive: true });
  await writeFile(OUTPUT, after);
  console.log(`wrote ${OUTPUT}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
