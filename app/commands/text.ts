/** Text for terminals of 80 columns and more. */
import type { Toolbox } from '../toolbox.js';

export function say(toolbox: Toolbox, lines: readonly string[]): void {
  for (const line of lines) toolbox.print(line);
}

/** Columns to write in: those of the terminal, 120 where there is none, never fewer than 80. */
export const textWidth = (): number => Math.max(80, process.stdout.columns ?? 120);

/** Control characters of a foreign message could move the cursor or worse; line breaks stay. */
export const harmless = (text: string): string => text.replace(/[^\P{Cc}\n]/gu, '·');

/** The beginning of a text that is too long. */
export const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;

/** Both ends of a text that is too long: of an id the ends tell most. */
export function cutMiddle(text: string, width: number): string {
  if (text.length <= width) return text;
  const ends = Math.max(2, width - 1);
  return `${text.slice(0, Math.floor(ends / 2))}…${text.slice(-Math.ceil(ends / 2))}`;
}

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Lines of columns, two spaces apart; the last one gives way where the line is too long. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number = textWidth(),
): string[] {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => row.map(harmless))];
  const last = columns.length - 1;
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  const before = widths.slice(0, last).reduce((sum, one) => sum + one + 2, 0);
  const rest = Math.max(13, width - before);
  return lines.map((line) =>
    line
      .map((cell, at) => {
        if (at === last) return cutMiddle(cell, rest);
        return columns[at]?.right === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** `1 dead letter`, `12,000 dead letters`. */
export const amount = (count: number, thing: string): string =>
  `${count.toLocaleString('en')} ${thing}${count === 1 ? '' : 's'}`;
