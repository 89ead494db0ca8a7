/**
 * Everything CI checks, fast parts first; goes on after a failure, so that one run tells all. The last line counts:
 * `123 passed, 0 failed`, where a check that fails counts as one. Exits with 1 on any failure.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const node = (...args) => [process.execPath, args];

const CHECKS = [
  ['lock file', 'npm', ['ci', '--dry-run', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']],
  ['supergraph', ...node('ops/compose.mjs', '--check')],
  ['resolver types', ...node('ops/codegen.mjs', '--check')],
  ['asyncapi', ...node('ops/run.mjs', 'ops/asyncapi.ts', '--check')],
  ['format', ...node('node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.')],
  ['types', ...node('node_modules/typescript/bin/tsc', '--noEmit')],
  ['lint', ...node('node_modules/eslint/bin/eslint.js', '.')],
];

/** Runs a check quietly; its output matters only when it fails. */
function passes([name, command, args]) {
  const start = performance.now();
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'}  ${name} (${seconds} s)`);
  if (status !== 0) console.log([stdout, stderr, error?.message].filter(Boolean).join('\n'));
  return status === 0;
}

/** Runs the README's test command and counts from jest's own record. */
function runTests() {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-check-'));
  const record = join(folder, 'jest.json');
  try {
    const { status } = spawnSync('npm', ['test', '--', '--json', `--outputFile=${record}`], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const result = JSON.parse(readFileSync(record, 'utf8'));
    reportSkipped(result);
    // A suite that could not even be loaded has no failed tests.
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
    return { passed: result.numPassedTests, failed: status === 0 ? failed : Math.max(failed, 1) };
  } catch (error) {
    console.error(`The tests left no result: ${error.message}`);
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
  for (const folder of ['app', 'gateway', 'shared', 'subgraphs', 'tests']) {
    for (const file of readdirSync(folder, { recursive: true })) {
      if (file.endsWith('.int.test.ts')) console.log(`skipped  ${join(folder, file)}: needs real engines`);
    }
  }
}

const broken = CHECKS.filter((check) => !passes(check)).map(([name]) => name);
const { passed, failed } = runTests();
if (broken.length > 0) console.log(`failed checks: ${broken.join(', ')}`);
console.log(`${passed} passed, ${failed + broken.length} failed`);
process.exitCode = failed + broken.length === 0 ? 0 : 1;
