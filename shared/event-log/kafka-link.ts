import { setTimeout as delay } from 'node:timers/promises';
import { EngineUnavailable } from '../errors/errors.js';
import { within } from '../time/within.js';
import { errorType, type KafkaClient, type KafkaCluster } from './kafka-client.js';

/** Whoever waits for the brokers hears within this time that they are away. */
export const GIVE_UP_MS = 10_000;
/** A broker that has just started may not know its topics yet; this long it is asked again. */
const UNKNOWN_TOPIC_MS = 2_000;
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1_000;

/** Thrown for a topic that is not there. */
export class NoSuchTopic extends Error {
  override readonly name = 'NoSuchTopic';
}

/** Waits for `work` until `deadline` (milliseconds since the epoch), then rejects; `work` goes on unheard. */
export const before = <T>(deadline: number, work: Promise<T>): Promise<T> =>
  within(deadline - Date.now(), work, () => {
    throw new Error('The brokers did not answer in time.');
  });

/** Short requests over one cluster, which is made anew after every failure. */
export class KafkaLink {
  private cluster: KafkaCluster | null = null;

  constructor(readonly client: KafkaClient) {}

  /**
   * Runs `work` with the leaders of these topics (names on the brokers) known, again after failures. Rejects with
   * `EngineUnavailable` after 10 s of them, or at once when brokers and we do not trust each other; with `NoSuchTopic` when
   * a topic has been missing for `patienceMs`.
   */
  async run<T>(
    topics: readonly string[],
    work: (cluster: KafkaCluster) => Promise<T>,
    patienceMs = UNKNOWN_TOPIC_MS,
  ): Promise<T> {
    const begun = Date.now();
    const deadline = begun + Math.max(GIVE_UP_MS, patienceMs);
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LAST_PAUSE_MS)) {
      const cluster = (this.cluster ??= this.client.cluster());
      try {
        return await before(deadline, this.attempt(cluster, topics, work));
      } catch (error) {
        if (this.cluster === cluster) this.cluster = null;
        this.client.release(cluster);
        if (isUnknownTopic(error) && Date.now() - begun >= patienceMs) {
          throw new NoSuchTopic(`One of these topics is not there: ${topics.join(', ')}.`, { cause: error });
        }
        if (isDistrust(error) || Date.now() + pause >= deadline) throw new EngineUnavailable('event log', error);
        await delay(pause);
      }
    }
  }

  private async attempt<T>(
    cluster: KafkaCluster,
    topics: readonly string[],
    work: (cluster: KafkaCluster) => Promise<T>,
  ): Promise<T> {
    await cluster.connect();
    await cluster.addMultipleTargetTopics(topics);
    return work(cluster);
  }
}

/** A password or a certificate that one side does not take: asking again soon changes nothing. */
function isDistrust(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.name === 'KafkaJSSASLAuthenticationError') return true;
    if ('code' in cause && /^ERR_(TLS|SSL)|CERT|UNABLE_TO_VERIFY/.test(String(cause.code))) return true;
  }
  return false;
}

const isUnknownTopic = (error: unknown): boolean =>
  ['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION'].includes(errorType(error));
