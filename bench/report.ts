import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

const FILE = 'docs/benchmarks.md';

export const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
export const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`;
export const ratio = (value: number): string => value.toFixed(2);

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** The figures of one run: printed as they come, and written as a section of docs/benchmarks.md at the end. */
export class Report {
  private readonly rows: string[] = [];

  add(what: string, result: string, goal = ''): void {
    this.rows.push(`| ${what} | ${result} | ${goal} |`);
    console.log(`${what}: ${result}${goal === '' ? '' : ` (goal: ${goal})`}`);
  }

  /** Replaces the section with that heading, the other sections stay. */
  write(heading: string, text: string): void {
    const machine = `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}, ${process.platform}`;
    const table = ['| what | result | goal |', '|---|---:|---:|', ...this.rows].join('\n');
    const section = `## ${heading}\n\n${machine}. ${new Date().toISOString().slice(0, 10)}.\n\n${table}\n\n${text.trim()}\n`;
    const [intro = '', ...sections] = readFileSync(FILE, 'utf8').split(/^(?=## )/m);
    const others = sections.filter((one) => !one.startsWith(`## ${heading}\n`));
    writeFileSync(
      FILE,
      [intro, ...[...others, section].map((one) => `${one.trim()}\n`).sort()].join('\n').replace(/\n{3,}/g, '\n\n'),
    );
  }
}
