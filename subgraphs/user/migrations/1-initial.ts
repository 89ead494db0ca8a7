import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';
import { createMessagingTables } from '../../../shared/outbox/tables.js';

export class Initial1700000000000 implements MigrationInterface {
  readonly name = 'Initial1700000000000';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(
      runner,
      'users',
      [
        c.id('id'),
        c.integer('version'),
        c.text('name', 200),
        c.text('email', 254),
        // The address in lower case; null once the user is deleted, so that it can be used again.
        c.key('email_key', { length: 254, nullable: true }),
        c.key('role', { length: 16 }),
        c.boolean('verified'),
        c.boolean('deleted'),
        c.instant('created_at'),
        c.instant('updated_at'),
      ],
      { primaryKey: ['id'], uniques: [['email_key']] },
    );
    // What ties users to us, told by the events of orders and accounts.
    await createTable(
      runner,
      'obligations',
      [c.key('kind', { length: 8 }), c.id('subject'), c.id('user_id'), c.integer('version'), c.boolean('open')],
      { primaryKey: ['kind', 'subject'], indexes: [['user_id', 'open']] },
    );
    await createMessagingTables(runner);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['obligations', 'users']) await runner.dropTable(table);
  }
}
