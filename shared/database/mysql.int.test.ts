import { databaseContract } from './contract.js';
import { mysqlDatabases } from './testing.js';

databaseContract('mysql', () => Promise.resolve(mysqlDatabases()), { rowLocks: true });
