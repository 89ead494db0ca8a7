import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';

export class Verifications1700000000003 implements MigrationInterface {
  readonly name = 'Verifications1700000000003';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    // One that was cut short runs again. Not TypeORM's addColumn, which on SQLite copies the whole table.
    if (!(await runner.hasColumn('users', 'locale'))) {
      await runner.query(`ALTER TABLE users ADD COLUMN locale VARCHAR(8) NOT NULL DEFAULT 'EN'`);
    }
    await createTable(
      runner,
      'verifications',
      [
        // What the token in the mail is made of; it opens nothing without the secret.
        c.id('id'),
        c.id('user_id'),
        // The address that the mail went to: another one is not confirmed by it.
        c.text('email', 254),
        c.instant('requested_at'),
        c.instant('expires_at'),
        c.instant('used_at', { nullable: true }),
      ],
      { primaryKey: ['id'], indexes: [['user_id'], ['expires_at']] },
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('verifications');
    await runner.query('ALTER TABLE users DROP COLUMN locale');
  }
}
