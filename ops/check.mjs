/**
 * Everything CI checks, fast parts first; goes on after a failure, so that one run tells all. The last line counts:
 * `123 passed, 0 failed`, where a check that fails counts as one. Exits with 1 on any failure.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** CI gives it 30 minutes, installation included; what is under way then is stopped, and counts as failed. */
const LIMIT_MS = 27 * 60_000;

const seconds = (begun) => `${((performance.now() - begun) / 1000).toFixed(1)} s`;
const node = (...args) => [process.execPath, args];

const STATIC = [
  ['lock file', 'npm', ['ci', '--dry-run', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']],
  ['supergraph', ...node('ops/compose.mjs', '--check')],
  ['resolver types', ...node('ops/codegen.mjs', '--check')],
  ['asyncapi', ...node('ops/run.mjs', 'ops/asyncapi.ts', '--check')],
  ['format', ...node('node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.')],
  ['types', ...node('node_modules/typescript/bin/tsc', '--noEmit')],
  ['lint', ...node('node_modules/eslint/bin/eslint.js', '.')],
];

/** What takes its time on a fresh machine, beside the others: engines for the tests, and Docker Compose built by Go. */
const SLOW = [
  ['engines', ...node('ops/engines.mjs', 'install')],
  ['compose file', ...node('ops/containers/config.mjs')],
];

/** Runs a check quietly; its output matters only when it fails. */
function passes([name, command, args]) {
  const start = performance.now();
  return new Promise((resolve) => {
    execFile(command, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      console.log(`${error === null ? 'ok    ' : 'FAILED'}  ${name} (${seconds(start)})`);
      if (error !== null) console.log([stdout, stderr].filter(Boolean).join('\n') || error.message);
      resolve(error === null);
    });
  });
}

/** Names of those that fail, run one after the other. */
async function failing(checks) {
  const failed = [];
  for (const check of checks) if (!(await passes(check))) failed.push(check[0]);
  return failed;
}

/** Runs one of the README's test commands and counts from jest's own record. */
function runTests({ name, script, env = {}, limitMs }) {
  const begun = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'tributary-check-'));
  const record = join(folder, 'jest.json');
  try {
    const [command, ...args] = script;
    const { status, error } = spawnSync(command, [...args, '--json', `--outputFile=${record}`], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
      timeout: limitMs?.(),
    });
    if (error?.code === 'ETIMEDOUT') console.error(`The ${name} took too long and were stopped.`);
    const result = JSON.parse(readFileSync(record, 'utf8'));
    reportSkipped(result);
    // A suite that could not even be loaded has no failed tests.
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
    console.log(`${name}: ${result.numPassedTests} passed, ${failed} failed (${seconds(begun)})`);
    return { passed: result.numPassedTests, failed: status === 0 ? failed : Math.max(failed, 1) };
  } catch (error) {
    console.error(`The ${name} left no result after ${seconds(begun)}: ${error.message}`);
    return { passed: 0, failed: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function reportSkipped({ testResults }) {
  for (const { name, assertionResults } of testResults) {
    for (const { status, fullName } of assertionResults) {
      if (status !== 'passed' && status !== 'failed') console.log(`skipped  ${relative('.', name)}: ${fullName}`);
    }
  }
}

/** What is left of the time. */
const left = () => Math.max(Math.round(LIMIT_MS - performance.now()), 1_000);

/**
 * Those on real engines install and start them where no addresses are given; an engine that cannot be started fails the
 * tests. They are not run through npm: they have to get the signal when time is up, to stop the engines.
 */
const TESTS = [
  { name: 'tests', script: ['npm', 'test', '--'] },
  { name: 'browser tests', script: ['npm', 'run', '--silent', 'test:browser', '--'], limitMs: left },
  { name: 'engine tests', script: node('ops/engines-test.mjs').flat(), limitMs: left },
  {
    name: 'fault tests, one of each kind',
    script: node('ops/engines-test.mjs', '--faults', '-i').flat(),
    env: { FAULTS: 'some' },
    limitMs: left,
  },
];

const broken = (await Promise.all([failing(STATIC), failing(SLOW)])).flat();
const results = TESTS.map(runTests);
const sum = (what) => results.reduce((total, result) => total + result[what], 0);
if (broken.length > 0) console.log(`failed checks: ${broken.join(', ')}`);
console.log(`everything took ${seconds(0)}`);
const failed = sum('failed') + broken.length;
console.log(`${sum('passed')} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
