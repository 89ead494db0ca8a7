import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKS, examine, type Diagnosis } from '../app/doctor/doctor.js';
import type { Finding } from '../app/doctor/check.js';
import { SafeDatabase } from '../shared/libsql/libsql.js';

export type Settings = Readonly<Record<string, string | undefined>>;

/** What the doctor says of an environment. */
export class Report {
  constructor(readonly diagnoses: readonly Diagnosis[]) {}

  /** Findings of one check. */
  of(name: string): readonly Finding[] {
    return this.diagnoses.filter(({ check }) => check.name === name).flatMap(({ findings }) => findings);
  }

  /** `check: what` of everything that is a problem. */
  get problems(): readonly string[] {
    return this.at('problem');
  }

  get warnings(): readonly string[] {
    return this.at('warning');
  }

  private at(level: Finding['level']): readonly string[] {
    return this.diagnoses.flatMap(({ check, findings }) =>
      findings.filter((finding) => finding.level === level).map(({ what }) => `${check.name}: ${what}`),
    );
  }
}

/** Runs the named checks, all of them when none is named. */
export async function doctor(
  env: Settings,
  names: readonly string[] = [],
  now: () => number = Date.now,
): Promise<Report> {
  const checks = CHECKS.filter(({ name }) => names.length === 0 || names.includes(name));
  return new Report(await examine(env, now, checks));
}

/** Every file of a folder with a digest of its content. */
export const contentsOf = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex'),
      ]),
  );

/** Runs SQL on a file that nobody has open. */
export function sql(file: string, ...statements: readonly string[]): void {
  const database = new SafeDatabase(file);
  for (const statement of statements) database.exec(statement);
  database.close();
}

/** A key and a certificate for localhost that signs itself, good from and until so many days from now. */
export function certificate(folder: string, name: string, from: number, until: number): { cert: string; key: string } {
  const day = (days: number): string =>
    `${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const config = join(folder, `${name}.cnf`);
  const run = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  execFileSync(
    'sh',
    [
      '-c',
      `printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=${name}.txt\\nnew_certs_dir=.\\nserial=${name}.srl\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > ${config}; : > ${name}.txt; echo 01 > ${name}.srl`,
    ],
    { cwd: folder },
  );
  run('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', key, '-out', `${name}.csr`);
  run(
    'ca',
    '-batch',
    '-selfsign',
    '-config',
    config,
    '-keyfile',
    key,
    '-in',
    `${name}.csr`,
    '-out',
    cert,
    '-notext',
    '-startdate',
    day(from),
    '-enddate',
    day(until),
  );
  return { cert, key };
}
