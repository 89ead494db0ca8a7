import { createInterface } from 'node:readline/promises';
import type { Config } from '../shared/config/config.js';
import type { Logger } from '../shared/observability/logger.js';
import { ALL_ENGINES, openEngines, type EngineName, type Engines } from './engines.js';
import type { Toolbox } from './toolbox.js';

export interface OwnedToolbox extends Toolbox {
  /** Closes what the command has opened. */
  close(): Promise<void>;
}

export interface ToolboxSource {
  /** Read when first asked for: --help needs no settings. */
  readonly config: () => Config;
  readonly log: () => Logger;
}

/** Somebody waits at a terminal. */
const TIMEOUT_MS = 5_000; // 5 seconds

/** What commands work with, opened as they ask for it. */
export function openToolbox(source: ToolboxSource): OwnedToolbox {
  const opened = new Map<string, Promise<{ close(): Promise<void> }>>();
  const once = <T extends { close(): Promise<void> }>(name: string, open: () => Promise<T>): Promise<T> => {
    const one = (opened.get(name) as Promise<T> | undefined) ?? open();
    opened.set(name, one);
    return one;
  };
  const open = (needs: readonly EngineName[]): Promise<Engines> => {
    const config = source.config();
    const startTimeoutMs = Math.min(TIMEOUT_MS, config.startTimeoutMs);
    // Files are all there or none: one set of them serves every wish.
    return once(config.engines.kind === 'embedded' ? 'engines' : needs.join(), () =>
      openEngines({ ...config, startTimeoutMs }, { clientId: 'tools', log: source.log(), needs, shared: true }),
    );
  };
  return {
    get config() {
      return source.config();
    },
    get log() {
      return source.log();
    },
    engines: (needs = ALL_ENGINES) => open(needs),
    documents: async () => (await open(['documents'])).documents,
    database: (subgraph) =>
      once(subgraph, async () =>
        (await open(['database'])).openDatabase({ name: `tributary_${subgraph}`, migrations: [] }),
      ),
    print: (text) => console.log(text),
    async confirm(question) {
      if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
      const terminal = createInterface({ input: process.stdin, output: process.stdout });
      const answer = await terminal.question(`${question} [y/N] `);
      terminal.close();
      return /^y(es)?$/i.test(answer.trim());
    },
    async close() {
      // Databases were opened after the engines they belong to. What could not be opened has nothing to close.
      for (const opening of [...opened.values()].reverse()) {
        const one = await opening.catch(() => undefined);
        await one?.close();
      }
      opened.clear();
    },
  };
}
