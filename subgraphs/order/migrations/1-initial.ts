import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';
import { createMessagingTables } from '../../../shared/outbox/tables.js';

export class Initial1700000000000 implements MigrationInterface {
  readonly name = 'Initial1700000000000';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    // The state is what counts; the columns beside it are for people who look into the table.
    await createTable(
      runner,
      'orders',
      [
        c.id('id'),
        c.integer('version'),
        c.id('user_id'),
        c.key('status', { length: 16 }),
        c.json('state'),
        c.instant('created_at'),
        c.instant('updated_at'),
      ],
      { primaryKey: ['id'] },
    );
    // Replicas of what other subgraphs own, fed by their events.
    await createTable(
      runner,
      'products',
      [c.id('id'), c.integer('version'), c.text('name', 200), c.money('price'), c.boolean('deleted')],
      { primaryKey: ['id'] },
    );
    await createTable(runner, 'users', [c.id('id'), c.integer('version'), c.boolean('deleted')], {
      primaryKey: ['id'],
    });
    await createTable(runner, 'accounts', [c.id('id'), c.integer('version'), c.id('user_id', { nullable: true })], {
      primaryKey: ['id'],
    });
    await createMessagingTables(runner);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['orders', 'products', 'users', 'accounts']) await runner.dropTable(table);
  }
}
