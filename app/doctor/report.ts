import { amount, harmless } from '../commands/text.js';
import { AREAS, type Level } from './check.js';
import type { Diagnosis } from './doctor.js';

export interface ReportOptions {
  /** Only what is wrong. */
  readonly quiet: boolean;
  readonly colours: boolean;
}

const MARKS: Readonly<Record<Level, string>> = { ok: '✓', warning: '!', problem: '✗', skipped: '–' };

/** ANSI: green, yellow, red, grey. */
const COLOURS: Readonly<Record<Level, number>> = { ok: 32, warning: 33, problem: 31, skipped: 90 };

/** Lines for people. */
export function reportText(diagnoses: readonly Diagnosis[], { quiet, colours }: ReportOptions): string[] {
  const coloured = (text: string, colour: number): string => (colours ? `\u001b[${colour}m${text}\u001b[0m` : text);
  const lines: string[] = [];
  for (const area of AREAS) {
    const shown = diagnoses
      .filter(({ check }) => check.area === area)
      .flatMap(({ check, findings }) => findings.map((finding) => ({ name: check.name, ...finding })))
      .filter(({ level }) => !quiet || level === 'warning' || level === 'problem');
    if (shown.length === 0) continue;
    lines.push(...(lines.length === 0 ? [] : ['']), coloured(area, 1));
    for (const { name, level, what, todo } of shown) {
      const line = `  ${coloured(MARKS[level], COLOURS[level])} ${name}: ${harmless(what)}`;
      lines.push(level === 'skipped' ? coloured(line, COLOURS.skipped) : line);
      if (todo !== undefined) lines.push(`      → ${harmless(todo)}`);
    }
  }
  return [...lines, ...(lines.length === 0 ? [] : ['']), closing(diagnoses)];
}

/** `3 problems, 1 warning, 27 ok, 4 not checked` */
function closing(diagnoses: readonly Diagnosis[]): string {
  const count = counted(diagnoses);
  const parts = [amount(count.problem, 'problem'), amount(count.warning, 'warning'), `${count.ok} ok`];
  if (count.skipped > 0) parts.push(`${count.skipped} not checked`);
  return parts.join(', ');
}

export function counted(diagnoses: readonly Diagnosis[]): Readonly<Record<Level, number>> {
  const count = { ok: 0, warning: 0, problem: 0, skipped: 0 };
  for (const { findings } of diagnoses) for (const { level } of findings) count[level] += 1;
  return count;
}

/** One object, for scripts. */
export function reportJson(diagnoses: readonly Diagnosis[], quiet: boolean): string {
  const findings = diagnoses.flatMap(({ check, findings: found }) =>
    found
      .filter(({ level }) => !quiet || level === 'warning' || level === 'problem')
      .map((finding) => ({ area: check.area, check: check.name, ...finding })),
  );
  return JSON.stringify({ ...counted(diagnoses), findings });
}
