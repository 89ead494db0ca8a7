/** ESM throughout: see ops/jest.mjs for the flags this needs. */
export default {
  testEnvironment: 'node',
  injectGlobals: false,
  extensionsToTreatAsEsm: ['.ts', '.graphql', '.html', '.css', '.svg'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.(graphql|html|css|svg|page\\.js)$': './ops/jest-text.mjs',
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript' },
          // `with { type: 'json' }`, which Node asks for.
          experimental: { keepImportAttributes: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '\\.(int|faults|browser)\\.test\\.ts$'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  // Twice what `until` waits, which says what for.
  testTimeout: 60_000,
  // A core less leaves the second one of two idle. Suites leave modules behind, so a worker is renewed now and then.
  maxWorkers: '100%',
  workerIdleMemoryLimit: '1GB',
};
