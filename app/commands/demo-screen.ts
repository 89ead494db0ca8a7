/** How a run of the demo looks: for people line by line, for scripts one JSON object per step. */
import { styleText } from 'node:util';
import type { Fact } from './demo-facts.js';
import { sumLines, type CleanedUp } from './demo-clean-up.js';
import type { ServiceRow } from './demo-services.js';
import { cut, harmless } from './text.js';

/** A step that is over. */
export interface StepDone {
  readonly number: number;
  readonly key: string;
  readonly title: string;
  readonly outcome: 'done' | 'skipped' | 'failed';
  readonly result: string;
  /** Milliseconds. */
  readonly ms: number;
  readonly facts: readonly Fact[];
}

/** `failed`: the story did not come out right, or something is left behind. */
export type DemoOutcome = 'right' | 'failed' | 'interrupted';

export interface Closing {
  readonly outcome: DemoOutcome;
  readonly ms: number;
  readonly services: readonly ServiceRow[];
  readonly cleanedUp: CleanedUp;
}

export interface Screen {
  opening(where: string, who: string): void;
  begin(number: number, title: string): void;
  fact(fact: Fact): void;
  end(step: StepDone): void;
  closing(closing: Closing): void;
  /** Leaves the terminal as it was found. */
  close(): void;
}

export interface ScreenOptions {
  readonly write: (text: string) => void;
  /** Of the terminal; lines are 80 to 100 wide. */
  readonly columns: number;
  readonly colour: boolean;
  /** A terminal, on which the line of the running step may be written over. */
  readonly live: boolean;
}

type Style = Parameters<typeof styleText>[0];

const SERVICES: Readonly<Record<string, Style>> = {
  user: 'cyan',
  product: 'yellow',
  order: 'blueBright',
  balance: 'green',
  query: 'magenta',
};

const INDENT = '    ';
const SERVICE_WIDTH = 9;
const TYPE_WIDTH = 28;
const FRAME_MS = 80;
const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const CLEAR_LINE = '\r\x1b[2K';

/** For scripts: what a step did is in its line. */
export function jsonScreen(write: (text: string) => void): Screen {
  const line = (value: object): void => write(`${JSON.stringify(value)}\n`);
  return {
    opening: () => undefined,
    begin: () => undefined,
    fact: () => undefined,
    end: ({ key, ...step }) => line({ step: key, ...step }),
    closing: ({ cleanedUp: { left, sums }, ...rest }) => line({ step: 'summary', ...rest, left, sums }),
    close: () => undefined,
  };
}

/** For people. Colour adds nothing that is not there in words. */
export class TextScreen implements Screen {
  private readonly width: number;
  private frame: NodeJS.Timeout | undefined;

  constructor(private readonly options: ScreenOptions) {
    this.width = Math.min(100, Math.max(80, options.columns));
  }

  opening(where: string, who: string): void {
    this.line(this.paint('bold', 'Tributary: an order from beginning to end'));
    this.line(this.paint('dim', harmless(`${where}, as ${who}`)));
  }

  begin(number: number, title: string): void {
    this.line('');
    this.line(`${this.paint('dim', String(number).padStart(2))}  ${this.paint('bold', title)}`);
    this.animate();
  }

  fact(fact: Fact): void {
    switch (fact.kind) {
      case 'event': {
        const { service, type, topic, partition, offset, cause } = fact;
        this.row(SERVICES[service] ?? 'white', '●', service, type, `${topic}/${partition}@${offset}`, timeOf(cause));
        return;
      }
      case 'push':
        this.row('magenta', '→', 'push', fact.status, 'WebSocket', fact.ms === null ? '' : plus(fact.ms));
        return;
      case 'mail':
        this.row('white', '»', 'mail', `“${fact.subject}”`, '', fact.ms === null ? '' : plus(fact.ms));
        return;
      case 'rest':
        this.row('magenta', '○', 'REST', `GET ${fact.path}`, fact.body, duration(fact.ms));
    }
  }

  end({ outcome, result, ms }: StepDone): void {
    this.stop();
    const [mark, style] = MARKS[outcome];
    const time = duration(ms);
    // Why something failed is told in full.
    const lines = wrap(harmless(result), this.width - INDENT.length - 2 - time.length - 2);
    lines.forEach((text, at) => {
      const first = at === 0;
      const shown = first ? text.padEnd(this.width - INDENT.length - 2 - time.length) : text;
      const painted = outcome === 'done' ? shown : this.paint(style, shown);
      this.line(`${INDENT}${first ? this.paint(style, mark) : ' '} ${painted}${first ? this.paint('dim', time) : ''}`);
    });
  }

  closing({ outcome, ms, services, cleanedUp: { left, sums } }: Closing): void {
    this.line('');
    if (services.length > 0) this.services(services);
    if (sums !== null) {
      this.line('');
      this.line(`${INDENT}${this.paint('bold', 'Money and stock')}`);
      for (const text of sumLines(sums)) for (const part of wrap(text, this.width - 4)) this.line(`${INDENT}${part}`);
    }
    for (const what of left) {
      const [first = '', ...more] = wrap(harmless(`left behind: ${what}`), this.width - 6);
      this.line(`${INDENT}${this.paint('red', '✗')} ${first}`);
      for (const text of more) this.line(`${INDENT}  ${text}`);
    }
    this.line('');
    const time = duration(ms);
    const [mark, style] = MARKS[outcome === 'right' ? 'done' : 'failed'];
    const words = {
      right: 'The whole story came out right; money and stock are as they were.',
      failed: 'The story did not come out right.',
      interrupted: left.length === 0 ? 'Interrupted; what was begun is undone.' : 'Interrupted.',
    }[outcome];
    const text = `${INDENT}${mark} ${words}`;
    this.line(this.paint([style, 'bold'], text.padEnd(this.width - time.length)) + this.paint('dim', time));
  }

  close(): void {
    this.stop();
  }

  private services(services: readonly ServiceRow[]): void {
    const numbers = (n: string, p50: string, total: string) => `${n.padStart(5)}${p50.padStart(9)}${total.padStart(9)}`;
    const room = this.width - INDENT.length - 2 - SERVICE_WIDTH - 23;
    const title = `${'What each service did'.padEnd(SERVICE_WIDTH + 2 + room)}${numbers('n', 'p50', 'total')}`;
    this.line(`${INDENT}${this.paint('bold', title)}`);
    for (const { service, did, count, p50, total } of services) {
      const words = did.map(({ what, times }) => (times === 1 ? what : `${what}${GLUE}×${times}`)).join(', ');
      wrap(words, room - 1).forEach((text, at) => {
        const name =
          at === 0 ? `${this.paint(SERVICES[service] ?? 'white', '●')} ${service.padEnd(SERVICE_WIDTH)}` : '';
        const [first, rest] =
          at === 0
            ? [name, numbers(String(count), timeOrDash(p50), timeOrDash(total))]
            : [' '.repeat(2 + SERVICE_WIDTH), ''];
        this.line(`${INDENT}${first}${text.padEnd(room)}${this.paint('dim', rest)}`);
      });
    }
  }

  /** Bullet, who, what, where, and at the right edge how long. */
  private row(style: Style, bullet: string, who: string, what: string, where: string, time: string): void {
    const before = INDENT.length + 2 + SERVICE_WIDTH;
    const room = this.width - before - time.length - 1;
    const whatWidth = where === '' ? room : TYPE_WIDTH;
    const text = cut(harmless(what), whatWidth - 1).padEnd(whatWidth);
    const place = where === '' ? '' : cut(harmless(where), room - TYPE_WIDTH).padEnd(room - TYPE_WIDTH);
    const painted = `${this.paint(style, `${bullet} ${who.padEnd(SERVICE_WIDTH)}`)}${text}${this.paint('dim', place)}`;
    this.line(`${INDENT}${painted} ${this.paint('dim', time)}`);
  }

  private paint(style: Style, text: string): string {
    return this.options.colour && text.trim() !== '' ? styleText(style, text, { validateStream: false }) : text;
  }

  private line(text: string): void {
    const { write, live } = this.options;
    write(`${live && this.frame !== undefined ? CLEAR_LINE : ''}${text.trimEnd()}\n`);
  }

  /** Something moves while something is waited for. */
  private animate(): void {
    if (!this.options.live) return;
    const begun = performance.now();
    let turn = 0;
    this.frame = setInterval(() => {
      const sign = FRAMES[turn++ % FRAMES.length] ?? '';
      this.options.write(`${CLEAR_LINE}${INDENT}${sign} ${duration(performance.now() - begun)}`);
    }, FRAME_MS).unref();
  }

  private stop(): void {
    if (this.frame === undefined) return;
    clearInterval(this.frame);
    this.frame = undefined;
    this.options.write(CLEAR_LINE);
  }
}

const MARKS = {
  done: ['✓', 'green'],
  skipped: ['–', 'yellow'],
  failed: ['✗', 'red'],
} as const;

/** The time since what led to it: the call for what we asked for ourselves. */
function timeOf(cause: Extract<Fact, { kind: 'event' }>['cause']): string {
  if (cause === null) return '';
  return cause.after === 'event' ? plus(cause.ms) : `${cause.after} ${plus(cause.ms).slice(1).padStart(7)}`;
}

const plus = (ms: number): string => `+${duration(ms)}`;

/** `12 ms`, `2.0 s`. */
const duration = (ms: number): string => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);

const timeOrDash = (ms: number | null): string => (ms === null ? '–' : duration(ms));

/** Holds words together when lines are broken. */
const GLUE = '\u00a0';

/** Lines of whole words. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => one.replaceAll(GLUE, ' '));
}
