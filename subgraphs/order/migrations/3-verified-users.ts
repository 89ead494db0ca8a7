import type { MigrationInterface, QueryRunner } from 'typeorm';

export class VerifiedUsers1760000000001 implements MigrationInterface {
  readonly name = 'VerifiedUsers1760000000001';

  /**
   * Users who were here before addresses had to be confirmed count as confirmed, until their next change: they were never
   * asked, and the events that told of them are not read again.
   */
  async up(runner: QueryRunner): Promise<void> {
    // One that was cut short runs again. Not TypeORM's addColumn, which on SQLite copies the whole table.
    if (await runner.hasColumn('users', 'verified')) return;
    await runner.query('ALTER TABLE users ADD COLUMN verified SMALLINT NOT NULL DEFAULT 1');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE users DROP COLUMN verified');
  }
}
