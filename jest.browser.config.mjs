/** Tests in a real browser, for `npm run test:browser`. */
import base from './jest.config.mjs';

export default {
  ...base,
  testMatch: ['**/*.browser.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  maxWorkers: 1,
  testTimeout: 60_000,
};
