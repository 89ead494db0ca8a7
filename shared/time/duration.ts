const UNITS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const DURATION = /^(\d{1,6})([smhd])$/;

/** Milliseconds of `90s`, `10m`, `2h` or `3d`; null for anything else. */
export function parseDuration(text: string): number | null {
  const [, count, unit] = DURATION.exec(text.trim()) ?? [];
  return count === undefined ? null : Number(count) * UNITS[unit as keyof typeof UNITS];
}

/** A length of time in milliseconds in its largest unit that is worth it: `59s`, `12m`, `47h`, `3d`. */
export function formatDuration(milliseconds: number): string {
  const at = Math.max(0, milliseconds);
  const unit = at < UNITS.m ? 's' : at < UNITS.h ? 'm' : at < 2 * UNITS.d ? 'h' : 'd';
  return `${Math.floor(at / UNITS[unit])}${unit}`;
}
