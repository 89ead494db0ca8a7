import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';
import { createMessagingTables } from '../../../shared/outbox/tables.js';

export class Initial1700000000000 implements MigrationInterface {
  readonly name = 'Initial1700000000000';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(
      runner,
      'accounts',
      [
        c.id('id'),
        c.integer('version'),
        c.id('user_id', { nullable: true }),
        c.key('kind', { length: 16 }),
        c.money('balance'),
        c.instant('created_at'),
        c.instant('updated_at'),
      ],
      { primaryKey: ['id'] },
    );
    // Never changed, never deleted: every balance is the sum of these.
    await createTable(
      runner,
      'transactions',
      [
        c.id('id'),
        c.key('kind', { length: 16 }),
        c.id('from_account_id'),
        c.id('to_account_id'),
        c.money('amount'),
        c.instant('created_at'),
      ],
      { primaryKey: ['id'] },
    );
    await createTable(
      runner,
      'payments',
      [c.id('order_id'), c.integer('version'), c.json('attempts'), c.boolean('closed'), c.instant('updated_at')],
      { primaryKey: ['order_id'] },
    );
    // What is to be asked of the payment provider, and what came of it.
    await createTable(
      runner,
      'provider_calls',
      [
        c.id('payment_id'),
        c.key('kind', { length: 8 }),
        c.id('order_id'),
        c.key('method', { length: 16 }),
        c.money('amount'),
        c.text('reference', 255, { nullable: true }),
        c.text('traceparent', 255, { nullable: true }),
        // REQUESTED, DONE, or DROPPED: canceled before the provider was asked.
        c.key('status', { length: 16 }),
        // When it may be asked next: the end of a delay, of a pause after an error, or of the claim of whoever is at it.
        c.instant('due_at'),
        c.id('claimed_by', { nullable: true }),
        c.integer('attempts'),
        c.integer('failures'),
        c.instant('requested_at'),
      ],
      { primaryKey: ['payment_id', 'kind'], indexes: [['status', 'due_at']] },
    );
    // The users there are, as their events told.
    await createTable(runner, 'users', [c.id('id'), c.integer('version'), c.boolean('deleted')], {
      primaryKey: ['id'],
    });
    await createMessagingTables(runner);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['users', 'provider_calls', 'payments', 'transactions', 'accounts'])
      await runner.dropTable(table);
  }
}
