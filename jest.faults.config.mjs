/** Faults injected into processes and engines under load, for `npm run test:faults`. The engines are theirs alone. */
import base from './jest.config.mjs';

export default {
  ...base,
  testMatch: ['**/*.faults.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  testTimeout: 300_000,
};
