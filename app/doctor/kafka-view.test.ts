import { describe, expect, test } from '@jest/globals';
import type { Admin } from 'kafkajs';
import type { KafkaClient } from '../../shared/event-log/kafka-client.js';
import { eventLog } from './checks/event-log.js';
import { KafkaView } from './kafka-view.js';
import type { LogView } from './log-view.js';
import type { Subject } from './subject.js';

/** A log of one topic, as an administrator's client tells of it; what it was asked. */
function view(told: Partial<Admin> = {}) {
  const asked: string[] = [];
  let high = 10;
  const admin: Partial<Admin> = {
    listTopics: async () => ['users'],
    fetchTopicMetadata: async () => ({
      topics: [{ name: 'users', partitions: [partition(0), partition(1)] }],
    }),
    fetchTopicOffsets: async () => {
      asked.push('ends');
      high += 10;
      return [{ partition: 0, offset: `${high}`, low: '0', high: `${high}` }];
    },
    fetchTopicOffsetsByTimestamp: async (_topic, moment) => {
      asked.push(`since ${moment}`);
      return [{ partition: 0, offset: '5' }];
    },
    ...told,
  };
  const client: Pick<KafkaClient, 'wire'> = { wire: (name) => name };
  return { asked, log: new KafkaView(client as KafkaClient, admin as Admin, 3, null) };
}

const partition = (partitionId: number) => ({
  partitionErrorCode: 0,
  partitionId,
  leader: 1,
  replicas: [1, 2, 3],
  isr: [1, 2, 3],
});

const topicsSay = (log: LogView) => {
  const subject: Pick<Subject, 'eventLog'> = { eventLog: () => Promise.resolve(log) };
  return eventLog.find(({ name }) => name === 'topics')?.run(subject as Subject);
};

describe('settings of topics', () => {
  const refuses = (type: string): Partial<Admin> => ({
    describeConfigs: () => Promise.reject(Object.assign(new Error('no'), { type })),
  });

  test('that this user may not see are taken for nothing else, and the rest is looked at', async () => {
    const { log } = view(refuses('TOPIC_AUTHORIZATION_FAILED'));
    expect((await log.topics()).get('users')).toEqual({ partitions: 2, retentionMs: undefined, broker: null });
    const said = (await topicsSay(log)) ?? [];
    expect(said.map(({ level, what }) => `${level}: ${what}`)).toEqual([
      expect.stringMatching(/^problem: there is no topic users\.dlq, /),
      expect.stringMatching(/^problem: users has 2 partitions instead of/),
      expect.stringMatching(/^problem: there is no topic tributary\.log-id/),
      'skipped: this user may not see the settings of topics',
    ]);
  });

  test('that cannot be had for another reason are a failure', async () => {
    const { log } = view(refuses('REQUEST_TIMED_OUT'));
    await expect(log.topics()).rejects.toThrow('no');
  });
});

test('lags are of one moment; where a topic ends now is asked anew', async () => {
  const groups: Partial<Admin> = {
    describeGroups: async () => ({ groups: [] }),
    fetchOffsets: async () => [],
  };
  const { log } = view(groups);
  const next = async () => (await log.group('user.mail', ['users'])).places.map((place) => place.next);
  expect(await next()).toEqual([20]);
  expect([...(await log.ends('users'))]).toEqual([[0, 30]]);
  expect(await next()).toEqual([20]);
});

test('from which record on a topic is younger than an age is asked once, for all groups', async () => {
  const { log, asked } = view();
  const place = { topic: 'users', partition: 0, position: 5, next: 10 };
  expect(await log.age(place, 100_000)).toBe(0);
  expect(await log.age(place, 100_007)).toBe(0);
  expect(asked).toEqual(['since 40000']);
});
