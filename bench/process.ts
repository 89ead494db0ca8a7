import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { portSettings, startProcess, type PortSettings } from '../tests/process.js';

/** Shared by the system and by gateways that are measured beside it. */
export const IDENTITY_SECRET = 'only for benchmarks: signs who asks';

export interface Running {
  readonly ports: PortSettings;
  /** Milliseconds from spawning to the line that says it is ready. */
  readonly readyMs: number;
  /** Resident memory in megabytes. */
  rss(): number;
  stop(): Promise<void>;
}

/** The built system as users start it, in a process of its own, quiet, on free ports. */
export async function startSystemProcess(dataDir: string): Promise<Running> {
  const ports = await portSettings();
  const settings = { ...ports, DATA_DIR: dataDir, LOG_LEVEL: 'warn', IDENTITY_SECRET };
  const system = startProcess(process.execPath, ['dist/main.js'], settings);
  return {
    ports,
    readyMs: await system.ready,
    rss: () => memoryOf(system.pid),
    stop: async () => {
      await system.end('SIGTERM');
    },
  };
}

const memoryOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;

/** A folder for the time of a measurement. */
export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
