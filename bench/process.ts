import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../tests/ports.js';

/** Shared by the system and by gateways that are measured beside it. */
export const IDENTITY_SECRET = 'only for benchmarks: signs who asks';

export interface Running {
  readonly ports: Readonly<Record<string, number>>;
  readonly dataDir: string;
  /** Milliseconds from spawning to the line that says it is ready. */
  readonly readyMs: number;
  /** Resident memory in megabytes. */
  rss(): number;
  /** CPU seconds used so far. */
  cpu(): number;
  stop(): Promise<void>;
}

const VARIABLES = [
  'GATEWAY_PORT',
  'USER_PORT',
  'PRODUCT_PORT',
  'ORDER_PORT',
  'BALANCE_PORT',
  'QUERY_PORT',
  'REST_PORT',
] as const;

/** The built system as users start it, in a process of its own, quiet, on free ports. */
export async function startSystemProcess(
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const free = await freePorts(VARIABLES.length);
  const ports = Object.fromEntries(VARIABLES.map((name, index) => [name, free[index] ?? 0]));
  const begun = performance.now();
  const child = spawn(process.execPath, ['dist/main.js'], {
    env: {
      ...process.env,
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
      DATA_DIR: dataDir,
      LOG_LEVEL: 'warn',
      IDENTITY_SECRET,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await saying(child, 'is ready');
  return { ports, dataDir, readyMs: performance.now() - begun, ...measured(child), stop: () => ended(child) };
}

/** Resolves when the child prints the words; rejects when it ends before. */
export function saying(child: ChildProcess, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes(words)) resolve();
    });
    child.once('exit', (code) => reject(new Error(`ended with ${code} before it was ready: ${text}`)));
  });
}

export function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

/** The kernel's clock tick, in seconds. */
const TICK = 0.01;

export const measured = ({ pid }: ChildProcess) => ({
  rss: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
  cpu: () => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK;
  },
});

/** A folder for the time of a measurement. */
export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
