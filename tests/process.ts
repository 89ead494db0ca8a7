import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SETTINGS } from '../shared/config/config.js';
import { freePorts } from './ports.js';

/** Inside node_modules, so that the few packages that stay outside the bundle are found. */
const CACHE = 'node_modules/.cache/tributary';

const BUILD = `
  import { build } from 'esbuild';
  import { distOptions } from './ops/bundle.mjs';
  await build({ ...distOptions(), outdir: process.argv[1] });
`;

export interface BuiltApp {
  /** The bundle's entry, made like dist/main.js. */
  readonly main: string;
  remove(): void;
}

/** Builds the sources as they are now into a folder of its own: dist/ may be stale or missing. */
export function buildApp(): BuiltApp {
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'app-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', BUILD, folder], {
    encoding: 'utf8',
  });
  if (status !== 0) {
    remove();
    throw new Error(`The build failed: ${stderr}`);
  }
  return { main: join(folder, 'main.js'), remove };
}

/** The variables of the seven ports, in the order in which `portSettings` gives them. */
export const PORT_VARIABLES = [
  'GATEWAY_PORT',
  'USER_PORT',
  'PRODUCT_PORT',
  'ORDER_PORT',
  'BALANCE_PORT',
  'QUERY_PORT',
  'REST_PORT',
] as const;

export type PortSettings = Readonly<Record<(typeof PORT_VARIABLES)[number], string>>;

/** Settings that name free ports. */
export async function portSettings(): Promise<PortSettings> {
  const ports = await freePorts(PORT_VARIABLES.length);
  return Object.fromEntries(PORT_VARIABLES.map((name, index) => [name, String(ports[index])])) as PortSettings;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface AppProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it has written so far, both streams. */
  output(): string;
  /** Resolves when the summary is printed, with the milliseconds since the start; rejects if it ends before. */
  readonly ready: Promise<number>;
  readonly exit: Promise<Exit>;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<Exit>;
}

const READY = 'Tributary is ready';

/** Starts a command whose settings are those given and no others, whatever the environment of the tests says. */
export function startProcess(
  command: string,
  args: readonly string[],
  settings: Readonly<Record<string, string>>,
  { cwd = process.cwd(), input = false }: { readonly cwd?: string; readonly input?: boolean } = {},
): AppProcess {
  const begun = performance.now();
  const env = { ...neutral(), ...settings };
  const child = spawn(command, args, { cwd, env, stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'] });
  let output = '';
  const exit = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => {
      output += error.message;
      resolve({ code: null, signal: null });
    });
  });
  const ready = new Promise<number>((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes(READY)) resolve(performance.now() - begun);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    void exit.then(({ code, signal }) =>
      reject(new Error(`ended with ${code ?? signal} before it was ready:\n${output}`)),
    );
  });
  // Whoever waits for it is told; a start that is not waited for may fail.
  ready.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    child,
    output: () => output,
    ready,
    exit,
    end(signal) {
      child.kill(signal);
      return exit;
    },
  };
}

/** Starts the whole system as `npm start` does. */
export const startApp = (app: BuiltApp, settings: Readonly<Record<string, string>>): AppProcess =>
  startProcess(process.execPath, [app.main], settings);

function neutral(): NodeJS.ProcessEnv {
  const ours = new Set([...SETTINGS, 'NODE_ENV', 'NODE_OPTIONS', 'FORCE_COLOR']);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.has(name)));
}
