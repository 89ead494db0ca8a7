import { afterAll, expect, test } from '@jest/globals';
import type { Database } from '../shared/database/port.js';
import { mysqlDatabases } from '../shared/database/testing.js';
import { Initial1700000000000 as Balance } from '../subgraphs/balance/migrations/1-initial.js';
import { ORDER_MIGRATIONS } from '../subgraphs/order/migrations/index.js';
import { Initial1700000000000 as Product } from '../subgraphs/product/migrations/1-initial.js';
import { Initial1700000000000 as User } from '../subgraphs/user/migrations/1-initial.js';

const databases = mysqlDatabases();
afterAll(() => databases.dispose());

/** Every table with all there is to say about it. */
async function tables(database: Database): Promise<Map<string, string>> {
  const rows = await database.read<{ name: string }>(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY create_time, name',
  );
  const found = new Map<string, string>();
  for (const { name } of rows) {
    const [row] = await database.read(`SHOW CREATE TABLE ${name}`);
    found.set(name, String(row?.['Create Table']).replace(/ AUTO_INCREMENT=\d+/, ''));
  }
  return found;
}

test.each([
  ['user', [User]],
  ['product', [Product]],
  ['order', ORDER_MIGRATIONS],
  ['balance', [Balance]],
])('migrations of %s that MySQL saw half of run again and leave the same tables', async (name, migrations) => {
  const database = await databases.open({ name: `tributary_${name}`, migrations });
  await database.migrate();
  const whole = await tables(database);
  expect(whole.size).toBeGreaterThan(5);
  // As if the process had died in the middle: what was made is there, and nobody wrote down that it is.
  const last = [...whole.keys()].filter((table) => table !== 'migrations').slice(3);
  await database.transaction(async (tx) => {
    await tx.execute('DELETE FROM migrations');
    for (const table of last) await tx.execute(`DROP TABLE ${table}`);
  });
  await database.migrate();
  await database.migrate();
  expect(await tables(database)).toEqual(whole);
  expect(await database.read('SELECT COUNT(*) AS n FROM migrations')).toEqual([{ n: migrations.length }]);
  await database.close();
});
