import { expect, test } from '@jest/globals';
import { MongoNetworkError, MongoServerError, type MongoClient, type MongoError } from 'mongodb';
import { EngineUnavailable } from '../errors/errors.js';
import { databaseOf, openMongoDatabase, translate, type MongoOptions } from './mongodb-client.js';

const clientOf = (options: MongoOptions): MongoClient => openMongoDatabase(options).client;

test.each([
  ['mongodb://localhost', '', 'tributary'],
  ['mongodb://localhost/', 'blue', 'blue_tributary'],
  ['mongodb://localhost/?replicaSet=rs0', '', 'tributary'],
  ['mongodb://u:p%2F@a:1,b:2/shop?authSource=admin', '', 'shop'],
  ['mongodb+srv://cluster.example.com/shop', 'blue', 'blue_shop'],
])('the database of %s in namespace "%s" is %s', (url, namespace, database) => {
  expect(databaseOf({ url, namespace })).toBe(database);
});

test('options of the URL win over the defaults, but not over what the port promises', () => {
  const db = openMongoDatabase({
    url: 'mongodb://localhost/?maxPoolSize=3&serverselectiontimeoutms=77&retryWrites=false&w=1&journal=false&readPreference=secondary',
  });
  expect(db.client.options).toMatchObject({ maxPoolSize: 3, serverSelectionTimeoutMS: 77, retryWrites: false });
  const collection = db.collection('a');
  expect(collection.writeConcern).toMatchObject({ w: 'majority', journal: true });
  expect(collection.readPreference?.mode).toBe('primary');
});

test('without options in the URL a server that is away is given up after five seconds, and writes are repeated', () => {
  const { options } = clientOf({ url: 'mongodb://localhost' });
  expect(options).toMatchObject({ serverSelectionTimeoutMS: 5_000, connectTimeoutMS: 5_000, retryWrites: true });
  expect(options.tls).toBeFalsy();
});

test('certificates are texts and turn TLS on', () => {
  const { options } = clientOf({ url: 'mongodb://localhost', tls: { ca: 'a PEM text', rejectUnauthorized: true } });
  expect(options).toMatchObject({ tls: true, ca: 'a PEM text', rejectUnauthorized: true });
  expect(clientOf({ url: 'mongodb://localhost', tls: {} }).options.tls).toBe(true);
});

test.each<[string, MongoError]>([
  ['a lost connection', new MongoNetworkError('connection closed')],
  ['a primary that stepped down', new MongoServerError({ message: 'not primary', code: 10107 })],
  ['a server that shuts down', new MongoServerError({ message: 'interrupted', code: 11600 })],
  ['a majority that was not reached', new MongoServerError({ message: 'waiting for replication', code: 64 })],
  ['a wrong password', new MongoServerError({ message: 'Authentication failed.', code: 18 })],
  ['a full disk', new MongoServerError({ message: 'out of disk space', code: 14031 })],
  ['a backend that is away', new MongoServerError({ message: 'find: failed to connect to `user=x`', code: 1 })],
  ['a backend that recovers', new MongoServerError({ message: 'the database system is in recovery mode', code: 1 })],
  [
    'a backend that starts',
    new MongoServerError({ message: 'the database system is not yet accepting connections', code: 1 }),
  ],
  [
    'a backend that stops',
    new MongoServerError({ message: 'terminating connection due to administrator command', code: 1 }),
  ],
])('%s is EngineUnavailable, with its cause', (_, error) => {
  const translated = translate(error);
  expect(translated).toBeInstanceOf(EngineUnavailable);
  expect(translated).toMatchObject({ cause: error });
});

test('a document too large for the server is VALIDATION; what nobody expects stays as it is', () => {
  const large = new MongoServerError({ message: 'BSONObj size is invalid', code: 10334 });
  expect(translate(large)).toMatchObject({ code: 'VALIDATION', field: 'doc' });
  const unexpected = new MongoServerError({ message: 'unknown operator: $x', code: 2 });
  expect(translate(unexpected)).toBe(unexpected);
  const bug = new TypeError('x is not a function');
  expect(translate(bug)).toBe(bug);
});
