import type { Subject } from './subject.js';

/** What the report is divided into, in its order. */
export const AREAS = [
  'configuration',
  'machine',
  'processes',
  'databases',
  'event log',
  'consumers',
  'views',
  'mail',
  'clocks',
  'certificates',
] as const;
export type Area = (typeof AREAS)[number];

/** `skipped`: it could not be checked, and `what` says why. */
export type Level = 'ok' | 'warning' | 'problem' | 'skipped';

export interface Finding {
  readonly level: Level;
  /** In one line, for people who have not written this program. */
  readonly what: string;
  /** What to do about it. */
  readonly todo?: string;
}

/** One thing that is looked at. It changes nothing, and needs nothing of the other checks: they run side by side. */
export interface Check {
  /** docs/doctor.md explains each; a test keeps the two in step. */
  readonly name: string;
  readonly area: Area;
  /** How long it may take, in milliseconds; `LIMIT_MS` when absent. */
  readonly limitMs?: number;
  /** Rejects with `NotChecked` for what is somebody else's finding; whatever else it rejects with is a problem. */
  run(subject: Subject): Promise<readonly Finding[]>;
}

export const LIMIT_MS = 20_000; // 20 seconds

/** What a check needs is not there, which another check reports. */
export class NotChecked extends Error {
  override readonly name = 'NotChecked';
}

export const ok = (what: string): Finding => ({ level: 'ok', what });
export const skipped = (what: string): Finding => ({ level: 'skipped', what });
export const warning = (what: string, todo: string): Finding => ({ level: 'warning', what, todo });
export const problem = (what: string, todo: string): Finding => ({ level: 'problem', what, todo });
