import { expect, test } from '@jest/globals';
import { Connection } from 'mongodb/lib/cmap/connection.js';
import { mendConnections } from './mongodb-connection.js';

test('a driver without the part that is mended is refused, and not half mended', () => {
  const { prototype } = Connection;
  const { cleanup } = prototype;
  delete prototype.cleanup;
  expect(mendConnections).toThrow(/version of the MongoDB driver/);
  expect(prototype).not.toHaveProperty('cleanup');
  Object.assign(prototype, { cleanup });
  mendConnections();
  expect(prototype.cleanup).not.toBe(cleanup);
});
