import type { Database, Transaction } from '../database/port.js';
import { AppError } from '../errors/errors.js';
import type { Identity } from '../identity/identity.js';
import type { Logger } from '../observability/logger.js';
import { traceIdOf } from '../observability/trace.js';
import { traceTransaction, tracer, within } from '../observability/tracing.js';
import { purgeBefore } from '../outbox/purge.js';
import { hashOfInput, KEY_TTL_MS, once, parseIdempotencyKey } from './idempotency.js';

/** The request a command came with. */
export interface CommandContext {
  readonly identity: Identity;
  readonly requestId: string;
  readonly traceparent: string | null;
  readonly log: Logger;
}

export interface Command<T> {
  /** Name of the mutation. */
  readonly mutation: string;
  /** The input as the client sent it, `idempotencyKey` included. */
  readonly input: { readonly idempotencyKey?: string | null | undefined };
  /** Runs in one transaction, possibly several times; no effect outside `tx`. The result must survive JSON. */
  readonly work: (tx: Transaction) => Promise<T>;
  /** Asked when the work has thrown, outside any transaction: whether to run it once more, since it was early. */
  readonly wasEarly?: () => Promise<boolean>;
}

export interface CommandsOptions {
  readonly database: Database;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Logger;
}

export interface Commands {
  /**
   * Runs a command in one transaction and answers what its work answers. With an idempotency key the work of an actor's
   * mutation takes effect once: the same key and input get the stored answer (also while the first is still running),
   * another input is CONFLICT. Failures are not kept. Keys last seven days.
   * @throws AppError VALIDATION or CONFLICT, field `idempotencyKey`, and whatever the work throws.
   */
  run<T>(context: CommandContext, command: Command<T>): Promise<T>;
  /** Deletes expired keys and answers how many. Runs by itself once an hour while keys are being used. */
  purge(): Promise<number>;
}

const PURGE_MS = 3_600_000;

export function createCommands({ database, now, log }: CommandsOptions): Commands {
  let lastPurge = -Infinity;

  const purge = (): Promise<number> => purgeBefore(database, 'idempotency_keys', 'created_at', now() - KEY_TTL_MS);

  const purgeSometimes = (): void => {
    if (performance.now() - lastPurge < PURGE_MS) return;
    lastPurge = performance.now();
    purge().catch((error: unknown) =>
      log.debug({ err: error }, 'expired idempotency keys not deleted; the next hour will'),
    );
  };

  const execute = async <T>({ identity }: CommandContext, { mutation, input, work }: Command<T>) => {
    const key = parseIdempotencyKey(input.idempotencyKey);
    if (key === null) return { result: await database.transaction(work), replayed: false };
    const actor = identity.userId ?? 'anonymous';
    const call = { actor, mutation, key, inputHash: hashOfInput(input), now: now() };
    const done = await database.transaction((tx) => once(tx, call, work));
    purgeSometimes();
    return done;
  };

  /** What is published in the transaction belongs to its span. */
  const traced = <T>(context: CommandContext, command: Command<T>) => {
    const span = tracer?.start(`transaction ${command.mutation}`, 'client', context.traceparent, {
      'db.system.name': database.dialect,
    });
    if (span === undefined) return execute(context, command);
    const work = (tx: Transaction): Promise<T> => {
      traceTransaction(tx, span);
      return command.work(tx);
    };
    return within(span, () => execute(context, { ...command, work }));
  };

  return {
    async run(context, command) {
      const began = performance.now();
      const line = (outcome: string, result?: unknown) => ({
        mutation: command.mutation,
        requestId: context.requestId,
        traceId: traceIdOf(context.traceparent),
        ...aggregateIn(result),
        outcome,
        durationMs: Math.round((performance.now() - began) * 10) / 10,
      });
      try {
        const { result, replayed } = await traced(context, command).catch(async (error: unknown) => {
          if (command.wasEarly === undefined || !(await command.wasEarly())) throw error;
          return traced(context, command);
        });
        log.info(line(replayed ? 'repeated' : 'ok', result), 'command');
        return result;
      } catch (error) {
        // The error itself is logged where it is answered.
        log.info(line(error instanceof AppError ? error.code : 'INTERNAL'), 'command');
        throw error;
      }
    },
    purge,
  };
}

/** The id and version of the aggregate, where the result is its state. */
function aggregateIn(result: unknown): { readonly aggregateId?: string; readonly version?: number } {
  if (typeof result !== 'object' || result === null) return {};
  const { id, version } = result as { readonly id?: unknown; readonly version?: unknown };
  return {
    ...(typeof id === 'string' ? { aggregateId: id } : {}),
    ...(typeof version === 'number' ? { version } : {}),
  };
}
