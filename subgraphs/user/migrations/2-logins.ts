import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';

export class Logins1700000000002 implements MigrationInterface {
  readonly name = 'Logins1700000000002';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    // Apart from the users: what is in here is in no event, no view and no log.
    await createTable(
      runner,
      'credentials',
      [
        c.id('user_id'),
        c.text('password_hash', 255),
        // A password that the documentation gives away; good for nothing outside demo mode.
        c.boolean('demo'),
        c.instant('changed_at'),
      ],
      { primaryKey: ['user_id'] },
    );
    await createTable(
      runner,
      'login_failures',
      [
        // A hash of whom or what is counted: addresses, of mail and of machines, are personal data.
        c.key('counter', { length: 64 }),
        c.integer('failures'),
        c.instant('failed_at'),
        // Until then a success from there counts.
        c.instant('trusted_until'),
        c.instant('expires_at'),
      ],
      { primaryKey: ['counter'], indexes: [['expires_at']] },
    );
    await createTable(
      runner,
      'signing_keys',
      [
        // Processes agree on the next key by its number.
        c.integer('number'),
        c.id('kid'),
        c.text('public_key', 255),
        // Encrypted.
        c.text('private_key', 255),
        c.instant('signs_from'),
        c.instant('created_at'),
      ],
      { primaryKey: ['number'], uniques: [['kid']] },
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['signing_keys', 'login_failures', 'credentials']) await runner.dropTable(table);
  }
}
