import type { MigrationInterface, QueryRunner } from 'typeorm';
import { columnsFor, createTable } from '../../../shared/database/columns.js';

/** Events on their way while this runs are of the new time. */
const GRACE_MS = 60_000; // a minute

export class Mails1700000000004 implements MigrationInterface {
  readonly name = 'Mails1700000000004';

  async up(runner: QueryRunner): Promise<void> {
    const c = columnsFor(runner);
    // What is to be mailed, and what came of it. No address, no name, no token: those are looked up and made when it is sent.
    await createTable(
      runner,
      'mails',
      [
        // The event that it is about; there is one mail per event.
        c.id('event_id'),
        c.key('kind', { length: 32 }),
        c.id('user_id'),
        c.id('order_id', { nullable: true }),
        // The event as the log has it, without the user.
        c.json('record'),
        // REQUESTED, SENT, DROPPED: of no use any more; or DEAD: among the dead letters.
        c.key('status', { length: 16 }),
        // When it may be tried next: the end of a pause, or of the claim of whoever is at it.
        c.instant('due_at'),
        c.id('claimed_by', { nullable: true }),
        // How often it was taken up; how many of these are known to have handed over nothing; how many the server refused.
        c.integer('attempts'),
        c.integer('answers'),
        c.integer('refusals'),
        // Why it was dropped, or what the last attempt failed of.
        c.text('reason', 1_000, { nullable: true }),
        c.instant('requested_at'),
        c.instant('done_at', { nullable: true }),
      ],
      { primaryKey: ['event_id'], indexes: [['status', 'due_at'], ['user_id'], ['order_id'], ['done_at']] },
    );
    // From when on events are mailed. A new consumer reads the log from its beginning: nobody wants a mail about last month.
    await createTable(runner, 'mails_since', [c.key('name', { length: 8 }), c.instant('at')], { primaryKey: ['name'] });
    const known = (await runner.query('SELECT name FROM mails_since')) as unknown[];
    if (known.length === 0) await runner.query(`INSERT INTO mails_since VALUES ('since', ${Date.now() - GRACE_MS})`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['mails_since', 'mails']) await runner.dropTable(table);
  }
}
