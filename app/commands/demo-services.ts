/** What each service did in a run, and how long it took. */
import type { Call } from './demo-client.js';
import type { Fact } from './demo-facts.js';

export interface ServiceRow {
  readonly service: string;
  readonly did: readonly { readonly what: string; readonly times: number }[];
  readonly count: number;
  /** Milliseconds from what led to it; null where the clock alone did. */
  readonly p50: number | null;
  readonly total: number | null;
}

const SERVICES = ['user', 'product', 'order', 'balance'];

/**
 * The services that published something, by their events; the gateway by our calls; `query` by what it had to tell over
 * WebSocket; `mail` by mails. A reaction's time is the time since the event it answers.
 */
export function serviceRows(facts: readonly Fact[], calls: readonly Call[]): ServiceRow[] {
  const events = facts.filter((fact) => fact.kind === 'event');
  const others = events.map(({ service }) => service).filter((name) => !SERVICES.includes(name));
  const deeds = (service: string): Deed[] =>
    events
      .filter((event) => event.service === service)
      .map(({ type, cause }) => ({ what: type, ms: cause === null || cause.after === 'timer' ? null : cause.ms }));
  const pushes = facts.filter((fact) => fact.kind === 'push').map(({ ms }) => ({ what: 'message over WebSocket', ms }));
  const mails = facts.filter((fact) => fact.kind === 'mail').map(({ mail, ms }) => ({ what: mail, ms }));
  return [
    row(
      'gateway',
      calls.map(({ mutation, ms }) => ({ what: mutation, ms })),
    ),
    ...[...SERVICES, ...new Set(others)].map((service) => row(service, deeds(service))),
    row('query', pushes),
    row('mail', mails),
  ].filter(({ count }) => count > 0);
}

interface Deed {
  readonly what: string;
  readonly ms: number | null;
}

function row(service: string, deeds: readonly Deed[]): ServiceRow {
  const counts = new Map<string, number>();
  for (const { what } of deeds) counts.set(what, (counts.get(what) ?? 0) + 1);
  const times = deeds.flatMap(({ ms }) => (ms === null ? [] : [ms])).sort((a, b) => a - b);
  return {
    service,
    did: [...counts].map(([what, number]) => ({ what, times: number })),
    count: deeds.length,
    p50: times[Math.floor((times.length - 1) / 2)] ?? null,
    total: times.length === 0 ? null : times.reduce((sum, one) => sum + one, 0),
  };
}
