import { rebuildSuite } from './rebuild-suite.js';

rebuildSuite(
  () =>
    Promise.resolve({
      settings: {},
      cutLog: ({ engines }) => engines.eventLog.enforceRetention(Date.now() + 365 * 86_400_000),
      dispose: () => Promise.resolve(),
    }),
  { away: false },
);
