import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { EngineUnavailable } from '../shared/errors/errors.js';
import { silentLogger } from '../shared/observability/logger.js';
import { inbox, newGroup, recs, testTopic } from '../shared/event-log/contract-tools.js';
import { SECURE_USER, startSecureBroker, type SecureBroker } from './secure-kafka.js';
import { freshNamespace } from '../shared/event-log/kafka-tools.js';
import { openKafkaEventLog, type KafkaEventLogOptions } from '../shared/event-log/kafka.js';
import type { EventLog } from '../shared/event-log/port.js';

jest.setTimeout(120_000);

let broker: SecureBroker;
beforeAll(async () => {
  broker = await startSecureBroker();
});
afterAll(() => broker.stop());

const open = (options: Pick<KafkaEventLogOptions, 'brokers' | 'tls' | 'sasl'>): Promise<EventLog> =>
  openKafkaEventLog({ namespace: freshNamespace(), clientId: 'tributary-test', log: silentLogger(), ...options });

/** What a process does with the log: makes topics, appends, is a group's member, tails. */
async function useOf(options: Parameters<typeof open>[0]): Promise<void> {
  const log = await open(options);
  try {
    await log.ensureTopics([testTopic('guarded', 3)]);
    const [members, tails] = [inbox(), inbox()];
    await log.subscribe({ group: newGroup(), topics: ['guarded'], onBatches: members.onBatches });
    await log.tail({ topics: ['guarded'], from: 'start', onBatch: tails.onBatch });
    await log.append(recs('guarded', 50));
    await Promise.all([members.until(50), tails.until(50)]);
  } finally {
    await log.close();
  }
}

describe('over TLS', () => {
  test.each(['plain', 'scram-sha-256', 'scram-sha-512'] as const)('a password is proven by %s', (mechanism) =>
    useOf({ brokers: [broker.passwords], tls: { ca: broker.ca }, sasl: { mechanism, ...SECURE_USER } }),
  );

  test('a certificate proves who we are', () =>
    useOf({ brokers: [broker.certificates], tls: { ca: broker.ca, ...broker.client } }));
});

/** Why a process that starts would wait in vain: it tells the cause. */
async function reasonAgainst(options: Parameters<typeof open>[0]): Promise<string> {
  const refusal = await open(options).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(refusal).toBeInstanceOf(EngineUnavailable);
  return String((refusal as EngineUnavailable).cause);
}

describe('nothing is opened, and the cause is told', () => {
  const sasl = { mechanism: 'scram-sha-512', ...SECURE_USER } as const;

  test.each(['plain', 'scram-sha-512'] as const)('with a wrong password by %s', async (mechanism) => {
    const wrong = { mechanism, username: SECURE_USER.username, password: 'mistyped' };
    const reason = await reasonAgainst({ brokers: [broker.passwords], tls: { ca: broker.ca }, sasl: wrong });
    expect(reason).toMatch(/authentication/i);
    expect(reason).not.toContain(wrong.password);
  });

  test('when nobody vouches for the broker', async () => {
    expect(await reasonAgainst({ brokers: [broker.passwords], tls: {}, sasl })).toMatch(/certificate/i);
  });

  test('without TLS, where the broker wants it', async () => {
    expect(await reasonAgainst({ brokers: [broker.passwords], sasl })).not.toBe('');
  });

  test.each([
    ['without a certificate', () => ({})],
    ['with a certificate of a stranger', () => broker.stranger],
  ])('%s, where the broker wants one', async (_, own) => {
    const reason = await reasonAgainst({ brokers: [broker.certificates], tls: { ca: broker.ca, ...own() } });
    expect(reason).toMatch(/certificate/i);
  });
});
