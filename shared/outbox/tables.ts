import type { QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../database/columns.js';

/** Longest consumer name, topic, mutation or aggregate id; ours are ids and short words. */
const NAME_LENGTH = 64;

/** Longest record key that `parked` holds as it is; longer ones are hashed (see laneOf). */
export const LANE_LENGTH = 191;

/** Longest error text kept with a message that failed. */
export const ERROR_LENGTH = 1_000;

/**
 * The tables of messaging, in the database of every write subgraph: what it has to say (outbox), what it has heard
 * (processed_events), what it heard but could not yet act on (parked), and what its clients must not do twice
 * (idempotency_keys). Called by the subgraph's first migration.
 */
export async function createMessagingTables(queryRunner: QueryRunner): Promise<void> {
  const c = columnsFor(queryRunner);
  const name = { length: NAME_LENGTH };
  await createTable(
    queryRunner,
    'outbox',
    [
      c.bigserial('id'),
      c.id('event_id'),
      c.key('topic', name),
      // A dead letter keeps whatever key its producer chose.
      c.text('record_key', 65_535, { nullable: true }),
      c.key('aggregate_id', { ...name, nullable: true }),
      c.integer('version', { nullable: true }),
      c.json('payload'),
      c.json('headers'),
      c.instant('published_at', { nullable: true }),
      // Kept out of the relay's way: the log refused this row (then `refused` says why) or an earlier one of its aggregate.
      c.boolean('set_aside', { default: false }),
      c.text('refused', ERROR_LENGTH, { nullable: true }),
    ],
    { indexes: [['published_at', 'set_aside', 'id']], uniques: [['topic', 'aggregate_id', 'version']] },
  );
  await createTable(
    queryRunner,
    'processed_events',
    [c.key('consumer', name), c.id('event_id'), c.instant('processed_at')],
    { primaryKey: ['consumer', 'event_id'], indexes: [['processed_at']] },
  );
  await createTable(
    queryRunner,
    'parked',
    [
      c.bigserial('id'),
      c.key('consumer', name),
      c.id('event_id'),
      c.key('record_key', { length: LANE_LENGTH, nullable: true }),
      // The whole stored record, as the log delivered it.
      c.json('message'),
      // How often it has been tried: 0 while it only queues behind an earlier message of its key.
      c.integer('attempt'),
      c.instant('due_at'),
      c.key('state', { length: 16 }),
      c.text('error', ERROR_LENGTH, { nullable: true }),
      c.instant('created_at'),
    ],
    {
      indexes: [
        ['consumer', 'record_key', 'state'],
        ['state', 'due_at'],
      ],
      uniques: [['consumer', 'event_id']],
    },
  );
  await createTable(
    queryRunner,
    'idempotency_keys',
    [
      c.key('actor', name),
      c.key('mutation', name),
      c.key('idempotency_key', { length: 260 }),
      c.key('input_hash', name),
      c.json('payload', { nullable: true }),
      c.instant('created_at'),
    ],
    { primaryKey: ['actor', 'mutation', 'idempotency_key'], indexes: [['created_at']] },
  );
}
