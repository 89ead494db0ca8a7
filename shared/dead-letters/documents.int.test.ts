import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { openMongoDocumentStore } from '../document-store/mongodb.js';
import { documentLettersContract } from './contract-documents.js';

const url = process.env['MONGO_URL'] ?? '';
if (url === '') throw new Error('Tests on MongoDB need a server: MONGO_URL=mongodb://127.0.0.1:27017');

documentLettersContract('MongoDB', async () => {
  const namespace = `t${randomUUID().slice(0, 8)}`;
  return {
    store: await openMongoDocumentStore({ url, namespace }),
    dispose: async () => {
      const client = new MongoClient(url);
      await client.db(`${namespace}_tributary`).dropDatabase();
      await client.close();
    },
  };
});
