import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { EngineSettings } from '../shared/config/engines.js';
import type { RateSettings } from '../shared/config/limits.js';
import { AppError } from '../shared/errors/errors.js';
import type { Logger } from '../shared/observability/logger.js';
import type { ClientKey } from './context.js';

/** Counting starts anew after that long, which is also the longest that a client is told to wait. */
export const WINDOW_SECONDS = 60;

/** A shared store that failed is left alone for that long, while every process counts for itself. */
const AWAY_MS = 5_000; // 5 seconds

export interface RateLimits {
  /** Counts an operation of this client. @throws AppError RATE_LIMITED with extensions.retryAfter (seconds). */
  readonly admit: (client: ClientKey, cost?: number) => Promise<void>;
  /** Counts a call to a subgraph on behalf of this client; same error. */
  readonly admitSubgraph: (client: ClientKey, subgraph: string) => Promise<void>;
}

/** What counts, here or in a store that all gateways share. */
export interface Counter {
  /** Rejects with a RateLimiterRes when the key has consumed more than it may, with any other error when it cannot count. */
  consume(key: string, points: number): Promise<unknown>;
}

/** Rate limits with the store that they may have. */
export interface OwnRateLimits extends RateLimits {
  /** Opens the store; a store that is away holds nobody up. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Counts in memory, and from the start on in the store, if the settings name one. While that does not answer, memory stands
 * in: clients are then limited by each gateway for itself, and nobody is refused because of the store.
 * @param settings undefined counts nobody
 */
export function makeRateLimits(
  settings: RateSettings | undefined,
  engines: EngineSettings | undefined,
  log: Logger,
): OwnRateLimits {
  const nothing = () => Promise.resolve();
  if (settings === undefined) return { admit: nothing, admitSubgraph: nothing, start: nothing, stop: nothing };
  const { perClient, perSubgraph } = settings;
  const inMemory = (name: string, points: number): Counter =>
    new RateLimiterMemory({ keyPrefix: name, points, duration: WINDOW_SECONDS });
  let clients = inMemory('client', perClient);
  let subgraphs = inMemory('subgraph', perSubgraph);
  let close = nothing;
  return {
    // One operation alone never costs more than a whole minute has: it would never be let in.
    admit: (client, cost = 1) => consume(clients, client, Math.min(cost, perClient), 'requests'),
    admitSubgraph: (client, subgraph) => consume(subgraphs, `${subgraph} ${client}`, 1, 'calls of one service'),
    start: async () => {
      if (settings.store !== 'mongodb' || engines?.kind !== 'servers') return;
      // Loaded only where it is used.
      const { openMongoRateLimits } = await import('./rate-limits-mongodb.js');
      const shared = openMongoRateLimits(engines.mongo, engines.namespace);
      close = () => shared.close();
      clients = new Insured(shared.counter('client', perClient), clients, log);
      subgraphs = new Insured(shared.counter('subgraph', perSubgraph), subgraphs, log);
      await shared
        .prepare()
        .catch((error: unknown) => log.warn({ err: error }, 'the store of the rate limits is away'));
    },
    stop: () => close(),
  };
}

async function consume(counter: Counter, key: string, points: number, what: string): Promise<void> {
  try {
    await counter.consume(key, points);
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    const retryAfter = Math.max(1, Math.ceil(error.msBeforeNext / 1_000));
    throw new AppError('RATE_LIMITED', `Too many ${what}; try again in ${retryAfter} s.`, { details: { retryAfter } });
  }
}

/** A store that may be away. */
export class Insured implements Counter {
  private awayUntil = 0;

  constructor(
    private readonly store: Counter,
    private readonly memory: Counter,
    private readonly log: Logger,
  ) {}

  async consume(key: string, points: number): Promise<void> {
    if (performance.now() >= this.awayUntil) {
      try {
        await this.store.consume(key, points);
        return;
      } catch (error) {
        if (error instanceof RateLimiterRes) throw error;
        this.awayUntil = performance.now() + AWAY_MS;
        this.log.warn({ err: error }, 'the store of the rate limits is away; this process counts for itself');
      }
    }
    await this.memory.consume(key, points);
  }
}
