import type { Database, DatabaseOptions } from '../../../shared/database/port.js';
import { silentLogger } from '../../../shared/observability/logger.js';
import { createMetrics } from '../../../shared/observability/metrics.js';
import { outboxStatus, type OutboxStatus } from '../../../shared/outbox/status.js';
import { formatDuration } from '../../../shared/time/duration.js';
import { SigningKeys } from '../../../subgraphs/user/signing-keys.js';
import { amount } from '../../commands/text.js';
import { buildSubgraph } from '../../system.js';
import { WRITE_SUBGRAPHS, type WriteSubgraphName } from '../../toolbox.js';
import { NotChecked, ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import type { Subject } from '../subject.js';
import { eachOf } from './each.js';
import { reasonOf } from '../words.js';

const area = 'databases';

/** A relay publishes within milliseconds: what waits longer than this is stuck. */
export const STUCK_MS = 60_000;

const SETUP = 'Run `tributary setup`, or start any process.';

const reachable: Check = {
  name: 'databases',
  area,
  async run(subject) {
    const { config, secrets } = subject;
    const stores = await subject.stores();
    const { title, variable } = stores.titles.databases;
    const found: string[] = [];
    const missing: string[] = [];
    const findings: Finding[] = [];
    for (const name of WRITE_SUBGRAPHS) {
      try {
        ((await stores.database(name)) === null ? missing : found).push(`tributary_${name}`);
      } catch (error) {
        const what = config.engines.kind === 'servers' ? title : `tributary_${name}.sqlite in ${title}`;
        const finding = problem(
          `${what} cannot be used: ${reasonOf(error, secrets)}`,
          config.engines.kind === 'servers'
            ? `Start it, or look at ${variable} and the rights of its user.`
            : 'Restore the whole folder from a backup; its files belong together.',
        );
        if (!findings.some((other) => other.what === finding.what)) findings.push(finding);
      }
    }
    if (findings.length > 0) return findings;
    if (missing.length === WRITE_SUBGRAPHS.length && config.engines.kind === 'embedded') {
      return [skipped(`there is no data in ${config.engines.dataDir} yet: the first start makes it`)];
    }
    if (missing.length > 0) return [problem(`${title} has no ${missing.join(', ')}`, SETUP)];
    return [ok(`${title} has ${found.join(', ')}`)];
  },
};

const migrations: Check = {
  name: 'migrations',
  area,
  run: (subject) =>
    eachOf(WRITE_SUBGRAPHS, async (name) => {
      const wanted = await migrationsOf(name, subject);
      const database = await subject.database(name);
      const rows = await database.read<{ name: string }>('SELECT name FROM migrations ORDER BY id');
      const done = new Set(rows.map((row) => row.name));
      const pending = wanted.filter((one) => !done.has(one));
      const unknown = [...done].filter((one) => !wanted.includes(one));
      if (unknown.length > 0) {
        return problem(
          `tributary_${name} was brought to a newer version than this one; it has ${unknown.join(', ')}`,
          'Run the newer version here too. An older one beside it may fail at what has changed.',
        );
      }
      if (pending.length > 0) {
        return problem(`tributary_${name} lacks ${amount(pending.length, 'migration')}: ${pending.join(', ')}`, SETUP);
      }
      return ok(`tributary_${name} is up to date (${amount(wanted.length, 'migration')})`);
    }),
};

class Captured extends Error {}

/** The names of a subgraph's migrations, as it would run them: it is built up to where it opens its database. */
async function migrationsOf(name: WriteSubgraphName, { config, now }: Subject): Promise<readonly string[]> {
  let options: DatabaseOptions | undefined;
  const openDatabase = (wanted: DatabaseOptions): Promise<never> => {
    options = wanted;
    return Promise.reject(new Captured());
  };
  const refuse = () => {
    throw new Error('It is asked for migrations only.');
  };
  const unopened = new Proxy({}, { get: refuse }) as never;
  try {
    await buildSubgraph(name, {
      config,
      identitySecret: '',
      log: silentLogger(),
      metrics: createMetrics(),
      now,
      eventLog: unopened,
      documents: unopened,
      openDatabase,
    });
  } catch (error) {
    if (!(error instanceof Captured)) throw error;
  }
  return (options?.migrations ?? []).map((Migration) => new Migration().name ?? Migration.name);
}

const outbox: Check = {
  name: 'outbox',
  area,
  run: (subject) =>
    eachOf(WRITE_SUBGRAPHS, async (subgraph) => {
      const name = `tributary_${subgraph}`;
      const database = await subject.database(subgraph);
      const { inUse } = await subject.stores();
      const status = await outboxStatus({ name, database, now: subject.now() });
      return outboxFindings(name, subgraph, status, inUse);
    }),
};

function outboxFindings(name: string, subgraph: string, status: OutboxStatus, inUse: boolean | null): Finding[] {
  const { waiting, oldestMs, setAside, led, unpurged } = status;
  const findings: Finding[] = [];
  const start =
    inUse === null ? `Start ${subgraph}-worker, which publishes them.` : 'Start Tributary, which publishes them.';
  const age = formatDuration(oldestMs ?? 0);
  if (setAside.length > 0) {
    const rows = setAside.reduce((sum, one) => sum + one.rows, 0);
    findings.push(
      problem(
        `${name} keeps back ${amount(rows, 'event')} that the log refused, of ${amount(setAside.length, 'aggregate')}`,
        'See why with `tributary outbox status`; once the cause is gone, `tributary outbox retry`.',
      ),
    );
  }
  const wait = `${amount(waiting, 'event')} of ${name} wait to be published, the oldest for ${age}`;
  if (waiting > 0 && inUse === false) findings.push(warning(wait, start));
  else if (waiting > 0 && led === false) findings.push(problem(`${wait}, and no worker is there to do it`, start));
  else if ((oldestMs ?? 0) > STUCK_MS) {
    findings.push(
      problem(wait, 'Look into the log of its worker, and whether the event log can be reached from there.'),
    );
  } else if (led === false) findings.push(warning(`no worker publishes what ${name} will have to say`, start));
  if (unpurged > 0 && inUse !== false && led !== false) {
    findings.push(
      warning(
        `${name} still has ${amount(unpurged, 'event')} that were published more than an hour ago`,
        'Look into the log of its worker: it deletes them.',
      ),
    );
  }
  return findings.length > 0 ? findings : [ok(waiting === 0 ? `${name}: nothing waits` : wait)];
}

const signingKeys: Check = {
  name: 'signing keys',
  area,
  async run(subject) {
    const { auth, identitySecret, engines } = subject.config;
    const secret = auth.secret ?? identitySecret;
    if (secret === undefined) {
      throw new NotChecked(
        engines.kind === 'embedded'
          ? 'each start makes a secret of its own'
          : 'neither AUTH_SECRET nor IDENTITY_SECRET is set',
      );
    }
    const database = await subject.database('user');
    const keys = new SigningKeys({ ...auth, secret, database, now: subject.now, log: silentLogger() });
    const opens = await keys.opens();
    if (opens === null) return [ok('there are no keys for access tokens yet: the first login makes one')];
    if (opens) return [ok('our secret opens the key that signs access tokens')];
    return [
      problem(
        `the key that signs access tokens was encrypted under another ${auth.secret === undefined ? 'IDENTITY_SECRET' : 'AUTH_SECRET'}`,
        'Set the secret that the other processes have. If it was changed for good, the next login makes a new key.',
      ),
    ];
  },
};

const timers: Check = {
  name: 'timers',
  area,
  async run(subject) {
    const database = await subject.database('order');
    if (!(await hasTable(database, 'timers'))) throw new NotChecked('there are no timers before the migration');
    const { inUse } = await subject.stores();
    const now = subject.now();
    const [row] = await database.read<{ overdue: number; oldest: number | null }>(
      'SELECT COUNT(*) AS overdue, MIN(due_at) AS oldest FROM timers WHERE due_at <= ?',
      [now - STUCK_MS],
    );
    const { overdue = 0, oldest = null } = row ?? {};
    if (overdue === 0 || oldest === null) return [ok('none is overdue')];
    const what = `${amount(overdue, 'order')} should have been reminded of, canceled or moved on up to ${formatDuration(now - oldest)} ago`;
    if (inUse === false) return [warning(what, 'Start Tributary, which catches up.')];
    return [problem(what, 'Start an order-worker, or look into its log. It catches up with what it missed.')];
  },
};

export const databases: readonly Check[] = [reachable, migrations, outbox, timers, signingKeys];

/** Whether a database has a table. */
export async function hasTable(database: Database, table: string): Promise<boolean> {
  const where =
    database.dialect === 'sqlite'
      ? "sqlite_master WHERE type = 'table' AND name = ?"
      : 'information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?';
  return (await database.read(`SELECT 1 AS found FROM ${where}`, [table])).length > 0;
}
