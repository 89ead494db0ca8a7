import { readFileSync } from 'node:fs';

/** A fenced block: ` ```json message ` has the language `json` and the tag `message`. */
export interface Block {
  readonly language: string;
  readonly tag: string;
  readonly text: string;
  /** Where it begins, for messages: `README.md:12`. */
  readonly place: string;
}

export function blocksOf(file: string): Block[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, language, tag = ''] = /^```(\w+) ?(\w*)$/.exec(lines[at] ?? '') ?? [];
    if (language === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    blocks.push({ language, tag, text: lines.slice(at + 1, end).join('\n'), place: `${file}:${at + 1}` });
    at = end;
  }
  return blocks;
}

export interface Link {
  readonly text: string;
  readonly target: string;
}

/** Links and pictures of a text, those in its code left out. */
export function linksIn(text: string): Link[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/\[((?:[^[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)/g)].map(([, text = '', target = '']) => ({
    text,
    target,
  }));
}

/**
 * What our documents leave open in the answers they show:
 * - `…` stands for any text that differs from run to run;
 * - a name in angle brackets, `<order>`, stands for the text that the first answer with this name gave.
 */
export class Placeholders {
  private readonly known = new Map<string, string>();

  /** An operation or command with every name replaced. */
  replace(text: string): string {
    return text.replace(NAME, (name) => {
      const value = this.known.get(name);
      if (value === undefined) throw new Error(`Nothing has given a value for ${name}.`);
      return value;
    });
  }

  /** The expected answer with the actual one's values where it leaves them open; equal to it if the answer is right. */
  fill(expected: unknown, actual: unknown): unknown {
    if (typeof expected === 'string') {
      if (expected === ANY) return typeof actual === 'string' ? actual : expected;
      if (!NAME_ALONE.test(expected)) return expected;
      const value = this.known.get(expected);
      if (value !== undefined || typeof actual !== 'string') return value ?? expected;
      this.known.set(expected, actual);
      return actual;
    }
    if (Array.isArray(expected)) {
      const items = Array.isArray(actual) ? (actual as unknown[]) : [];
      return expected.map((item: unknown, index) => this.fill(item, items[index]));
    }
    if (typeof expected !== 'object' || expected === null) return expected;
    const fields = (actual ?? {}) as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(expected).map(([name, value]: [string, unknown]) => [name, this.fill(value, fields[name])]),
    );
  }
}

const ANY = '…';
const NAME = /<[a-z]+(?: \d+)?>/g;
const NAME_ALONE = /^<[a-z]+(?: \d+)?>$/;

/** A text in which `…` stands for anything within a line. */
export const textPattern = (expected: string): RegExp =>
  new RegExp(`^${expected.split(ANY).map(escapeRegExp).join('.*')}$`);

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
