/** Tests on real engines, for `npm run test:engines`. */
import base from './jest.config.mjs';

/** End-to-end suites that run on real engines too: their test bed (tests/system.ts) obeys TEST_ENGINES=servers. */
const END_TO_END = [
  'orders',
  'payments',
  'products',
  'users',
  'wallet',
  'read-your-writes',
  'subscriptions',
  'bad-requests',
  'saga.property',
  'tracing',
].map((suite) => `<rootDir>/tests/${suite}.test.ts`);

export default {
  ...base,
  testMatch: ['**/*.int.test.ts', ...END_TO_END],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  globalSetup: './ops/engines/global-setup.mjs',
  // The servers have the other cores.
  maxWorkers: 2,
  testTimeout: 60_000,
};
