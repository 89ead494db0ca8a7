import js from '@eslint/js';
import boundaries from 'eslint-plugin-boundaries';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const element = (type, pattern, capture = []) => ({ type, pattern, capture, partialMatch: false });

/** Who imports whom. The last policy that matches decides; without one an import is refused. */
const POLICIES = [
  { allow: { to: { module: { origin: ['external', 'core'] } } } },
  {
    from: { element: { type: ['shared', 'subgraph', 'gateway', 'app', 'harness'] } },
    allow: { to: { element: { type: 'shared' } } },
  },
  {
    from: { element: { type: 'subgraph' } },
    allow: { to: { element: { type: 'subgraph', captured: { name: '{{ from.element.captured.name }}' } } } },
  },
  { from: { element: { type: 'gateway' } }, allow: { to: { element: { type: 'gateway' } } } },
  {
    from: { element: { type: 'app' } },
    allow: { to: { element: { type: ['app', 'gateway', 'subgraph'] } } },
  },
  {
    from: { element: { type: 'harness' } },
    allow: { to: { element: { type: ['app', 'gateway', 'subgraph', 'harness'] } } },
  },
  // Decisions are pure: they know other decisions, the shapes of events, and the shape (not the code) of a port.
  {
    from: { file: { categories: 'domain' } },
    disallow: [
      { to: { module: { origin: ['external', 'core'] } } },
      { to: { element: { type: ['shared', 'subgraph', 'gateway', 'app'] } } },
    ],
    message: 'Domain files import no infrastructure: no I/O, no clock, no database, no server.',
  },
  {
    from: { file: { categories: 'domain' } },
    allow: [
      { to: { module: { origin: 'external', source: ['zod', 'uuid'] } } },
      { to: { element: { type: 'shared' }, file: { categories: 'domain' } } },
      {
        to: {
          element: { type: 'subgraph', captured: { name: '{{ from.element.captured.name }}' } },
          file: { categories: 'domain' },
        },
      },
      { to: { file: { categories: 'port' } }, dependency: { kind: 'type' } },
    ],
  },
  // Tests, and what only tests use, may lean on tests/ and on any package.
  {
    from: { file: { categories: 'test' } },
    allow: [
      { to: { module: { origin: ['external', 'core'] } } },
      { to: { element: { type: 'shared' } } },
      { to: { element: { type: 'harness' } } },
      { to: { element: { type: 'subgraph', captured: { name: '{{ from.element.captured.name }}' } } } },
    ],
  },
];

const DOMAIN = [
  'subgraphs/user/user.ts',
  'subgraphs/product/{product,reservation}.ts',
  'subgraphs/order/order.ts',
  'subgraphs/balance/{account,ledger,payments}.ts',
  'shared/{errors,events,ids,money,validation}/*.ts',
];

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', '.data/', 'coverage/', '**/generated/'] },
  js.configs.recommended,
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        AbortController: 'readonly',
        AbortSignal: 'readonly',
        URL: 'readonly',
        console: 'readonly',
        process: 'readonly',
        setTimeout: 'readonly',
        fetch: 'readonly',
        performance: 'readonly',
      },
    },
  },
  {
    files: ['**/*.page.js'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...['URL', 'URLSearchParams', 'WebSocket', 'addEventListener', 'clearInterval', 'clearTimeout', 'crypto'],
          ...['document', 'fetch', 'history', 'location', 'matchMedia', 'performance', 'removeEventListener'],
          ...['setInterval', 'setTimeout'],
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['**/*.{ts,mts}'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // Numbers and booleans read well in templates; what must not get there is `undefined` or an object.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/only-throw-error': ['error', { allowRethrowing: true, allowThrowingUnknown: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      // Code points of a text are meant wherever a text is spread.
      '@typescript-eslint/no-misused-spread': 'off',
      // `async` turns a throw into a rejection, which is what callers of a port count on.
      '@typescript-eslint/require-await': 'off',
      // Believes that a flag cannot change during an await.
      '@typescript-eslint/no-unnecessary-condition': 'off',
    },
  },
  {
    files: ['**/*.test.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.ts'],
    plugins: { boundaries },
    settings: {
      'import/resolver': { typescript: { project: 'tsconfig.json' } },
      'boundaries/elements': [
        element('subgraph', 'subgraphs/*', ['name']),
        element('shared', 'shared'),
        element('gateway', 'gateway'),
        element('app', 'app'),
        element('harness', '{bench,ops,tests}'),
      ],
      'boundaries/files': [
        { category: 'test', pattern: '**/{*.test,contract*,testing*,testbed*,*-tools,tiny-*}.ts' },
        { category: 'port', pattern: 'shared/*/port.ts' },
        { category: 'domain', pattern: DOMAIN },
      ],
    },
    rules: {
      'boundaries/dependencies': [
        'error',
        { default: 'disallow', checkAllOrigins: true, checkInternals: true, policies: POLICIES },
      ],
    },
  },
);
