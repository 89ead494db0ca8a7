import { Command } from 'commander';
import { hostInUrl, reachable, type Config } from '../../shared/config/config.js';
import type { DemoTarget } from './demo-client.js';
import type { DemoOutcome } from './demo-screen.js';
import { readPassword } from './password-prompt.js';
import { EXIT, type ExitCode } from '../exit.js';
import { UserError, type Toolbox } from '../toolbox.js';

interface Options {
  readonly url?: string;
  readonly rest?: string;
  readonly email?: string;
  readonly password?: string;
  readonly locale: string;
  readonly wait?: string;
  readonly json?: true;
  readonly color: boolean;
}

/** Whatever has to happen happens within milliseconds; a machine may be busy. */
const PATIENCE_MS = 15_000; // 15 seconds

/** A reminder is waited for as long if the settings promise one by then; else only to see one that they do not know of. */
const REMINDER_MS = 15_000; // 15 seconds
const UNPROMISED_REMINDER_MS = 3_000; // 3 seconds

/** Ctrl-C through npm arrives twice; the second one that a person means comes later. */
const SECOND_SIGNAL_MS = 1_000; // 1 second

const EXIT_CODES: Readonly<Record<DemoOutcome, ExitCode>> = {
  right: EXIT.clean,
  failed: EXIT.fault,
  interrupted: EXIT.interrupted,
};

/** `tributary demo`: a client of a running system like any other; it opens no engines. */
export function demoCommand(toolbox: Toolbox): Command {
  return new Command('demo')
    .description('play an order from beginning to end against a running system, and clean up behind it')
    .option('--url <url>', 'the gateway; unless told, where the settings put it')
    .option('--rest <url>', 'where balances are served; unless told, REST_PORT on the host of the gateway')
    .option('--email <address>', 'an administrator; in demo mode nobody has to be named')
    .option(
      '--password <password>',
      'of the administrator; asked for, or read from standard input, when it is left out',
    )
    .option('--locale <locale>', 'the language of the mails: en or pt', 'en')
    .option('--wait <seconds>', 'how long to wait for a reminder; 0: not at all')
    .option('--json', 'one object per step and line')
    .option('--no-color', 'plain text, as without a terminal')
    .action(async (options: Options) => demo(toolbox, options));
}

async function demo({ config }: Toolbox, options: Options): Promise<void> {
  const login = await loginOf(options);
  const target = targetOf(options, config);
  const locale = localeOf(options.locale);
  const reminderWaitMs = waitOf(options.wait, config);
  const { playDemo } = await import('./demo-play.js');
  const { jsonScreen, TextScreen } = await import('./demo-screen.js');
  const { stdout } = process;
  const write = (text: string): void => void stdout.write(text);
  const screen =
    options.json === true
      ? jsonScreen(write)
      : new TextScreen({ write, columns: stdout.columns ?? 90, colour: isColoured(options), live: stdout.isTTY });
  const [interrupt, abandon] = [new AbortController(), new AbortController()];
  let first: number | undefined;
  const stop = (): void => {
    if (first !== undefined && performance.now() - first > SECOND_SIGNAL_MS) abandon.abort();
    first ??= performance.now();
    interrupt.abort();
  };
  // Whoever reads may have seen enough, as `head` does. What was begun is ended all the same: every line of that fails anew,
  // and none is a second Ctrl-C.
  stdout.removeAllListeners('error').on('error', () => interrupt.abort());
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, stop);
  try {
    const outcome = await playDemo({
      ...{ target, login, locale, reminderWaitMs, screen },
      patienceMs: PATIENCE_MS,
      interrupt: interrupt.signal,
      abandon: abandon.signal,
    });
    process.exitCode = EXIT_CODES[outcome];
  } finally {
    screen.close();
    for (const signal of signals) process.off(signal, stop);
  }
}

/** Colours where they are seen: NO_COLOR and FORCE_COLOR mean what they mean to others. */
function isColoured({ color }: Options): boolean {
  const { NO_COLOR = '', FORCE_COLOR } = process.env;
  if (!color || NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0';
  return process.stdout.isTTY;
}

async function loginOf({ email, password }: Options): Promise<{ email: string; password: string } | undefined> {
  if (email === undefined) {
    if (password === undefined) return undefined;
    throw new UserError('Whose password is it? Say --email too.');
  }
  return { email, password: password ?? (await readPassword({ twice: false })) };
}

function targetOf({ url, rest }: Options, { host, ports }: Pick<Config, 'host' | 'ports'>): DemoTarget {
  const gateway = addressOf(url ?? `http://${hostInUrl(reachable(host))}:${ports.gateway}`, '--url');
  const beside = new URL(gateway);
  return { gateway, rest: addressOf(rest ?? `http://${beside.hostname}:${ports.rest}`, '--rest') };
}

function addressOf(text: string, option: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text.replace(/\/+(graphql\/?)?$/, '');
  throw new UserError(`${option} must be an address, for example http://127.0.0.1:4000.`);
}

function localeOf(text: string): 'EN' | 'PT' {
  const locale = text.toUpperCase();
  if (locale === 'EN' || locale === 'PT') return locale;
  throw new UserError('--locale must be en or pt.');
}

/** Milliseconds. Without the option as the settings of this terminal let expect, which may not be those of the system. */
function waitOf(text: string | undefined, { orderTimes }: Pick<Config, 'orderTimes'>): number {
  if (text !== undefined) {
    if (/^\d{1,4}$/.test(text)) return Number(text) * 1_000;
    throw new UserError('--wait must be a number of seconds, for example 15.');
  }
  const [first = Infinity] = orderTimes.reminders;
  return first <= REMINDER_MS ? REMINDER_MS : UNPROMISED_REMINDER_MS;
}
