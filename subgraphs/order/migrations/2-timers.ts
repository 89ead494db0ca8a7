import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';

/** The next thing that the clock will do to each order: see ../timetable.ts. */
export class Timers1760000000000 implements MigrationInterface {
  readonly name = 'Timers1760000000000';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    await createTable(runner, 'timers', [c.id('order_id'), c.key('kind', { length: 16 }), c.instant('due_at')], {
      primaryKey: ['order_id'],
      indexes: [['due_at']],
    });
    // Orders that are there already are looked at as soon as a worker runs, and then have the timer they should have.
    await runner.query(
      `INSERT INTO timers (order_id, kind, due_at)
       SELECT o.id, 'START', o.created_at FROM orders o
       WHERE o.status IN ('PENDING', 'AWAITING_PAYMENT', 'PAID', 'PROCESSING')
         AND NOT EXISTS (SELECT 1 FROM timers t WHERE t.order_id = o.id)`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('timers');
  }
}
