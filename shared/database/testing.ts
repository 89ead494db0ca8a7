/** Databases for tests: on SQLite, or all of them on MySQL where `TEST_DATABASE=mysql` says so. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import type { DatabaseEngine } from './contract.js';
import { openMysqlDatabase } from './mysql.js';
import { openSqliteDatabase } from './sqlite.js';

/** Somewhere empty to open databases in, nobody else's. */
export const testDatabases = (): Promise<DatabaseEngine> =>
  process.env['TEST_DATABASE'] === 'mysql' ? Promise.resolve(mysqlDatabases()) : sqliteDatabases();

async function sqliteDatabases(): Promise<DatabaseEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-databases-'));
  return {
    open: (options) => openSqliteDatabase({ ...options, file: join(folder, `${options.name}.sqlite`) }),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Address of the MySQL server that tests use. */
export function mysqlUrl(): string {
  const url = process.env['MYSQL_URL'];
  if (url === undefined) throw new Error('Tests on MySQL need a server: MYSQL_URL=mysql://root@127.0.0.1:3306');
  return url;
}

/** In a namespace of its own, which disappears with `dispose`. */
export function mysqlDatabases(namespace = `test_${randomUUID().slice(0, 8)}`): DatabaseEngine {
  const url = mysqlUrl();
  return {
    open: (options) => openMysqlDatabase({ ...options, url, namespace }),
    dispose: async () => {
      const connection = await mysql.createConnection(url);
      const sql = 'SELECT schema_name AS name FROM information_schema.schemata WHERE LEFT(schema_name, ?) = ?';
      const [rows] = await connection.query<mysql.RowDataPacket[]>(sql, [namespace.length + 1, `${namespace}_`]);
      for (const { name } of rows) await connection.query('DROP DATABASE ??', [name]);
      await connection.end();
    },
  };
}
