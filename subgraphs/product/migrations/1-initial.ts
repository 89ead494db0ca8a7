import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';
import { createMessagingTables } from '../../../shared/outbox/tables.js';

export class Initial1700000000000 implements MigrationInterface {
  readonly name = 'Initial1700000000000';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(
      runner,
      'product_events',
      [c.id('product_id'), c.integer('version'), c.key('type', { length: 64 }), c.json('data'), c.instant('at')],
      { primaryKey: ['product_id', 'version'] },
    );
    // Snapshots of the events above; `rebuild` makes them anew.
    await createTable(
      runner,
      'products',
      [
        c.id('id'),
        c.integer('version'),
        c.text('name', 200),
        c.text('description', 5_000),
        c.money('price'),
        c.integer('stock'),
        c.integer('reserved'),
        c.boolean('deleted'),
        c.instant('created_at'),
        c.instant('updated_at'),
      ],
      { primaryKey: ['id'] },
    );
    await createTable(
      runner,
      'reservations',
      [
        c.id('order_id'),
        c.integer('version'),
        c.key('status', { length: 16 }),
        c.json('items'),
        c.text('reason', 64, { nullable: true }),
        c.instant('updated_at'),
      ],
      { primaryKey: ['order_id'] },
    );
    await createMessagingTables(runner);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['reservations', 'products', 'product_events']) await runner.dropTable(table);
  }
}
