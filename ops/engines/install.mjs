/** Installs the engines into the cache folder, all from package registries: Maven Central, Go's proxy, Debian. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { contained, inside, run } from './commands.mjs';
import { removeFolder } from './removal.mjs';
import { missingPrograms, obstacles, packagesOf, RequirementsMissing, thisMachine } from './requirements.mjs';

const KAFKA = '3.9.1';
const FERRETDB = '2.7.0';
const FERRETDB_GO = [1, 25];
const POSTGRES = ['postgresql-18', 'postgresql-18-documentdb'];
const MYSQL = 'mysql-server-core';

/** Releases of Debian that have PostgreSQL with DocumentDB; MySQL is in the first one only. */
const SUITES = ['sid', 'forky'];

const ATTEMPTS = 3;
const STAMP = '.complete.json';
const UNFINISHED = '.unfinished';

export const kafkaFolder = (cache) => join(cache, `kafka-${KAFKA}`);
export const ferretdbProgram = (cache) => join(cache, `ferretdb-${FERRETDB}`, 'ferretdb');
export const debianFolder = (cache) => join(cache, 'root');
export const mariadbFolder = (cache) => join(cache, 'mariadb-10.11');

/** What a finished part says about itself; undefined when it is not there, or not finished. */
export function stampOf(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, STAMP), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Installs what is missing; parts at the same time, each under another name until it is whole.
 * @throws RequirementsMissing, Error with a text per part that failed; those that were finished stay
 */
export async function install(cache, progress, signal) {
  const parts = {
    kafka: [kafkaFolder(cache), installKafka],
    debian: [debianFolder(cache), installDebian],
    ferretdb: [join(cache, `ferretdb-${FERRETDB}`), installFerretdb],
  };
  const missing = Object.keys(parts).filter((name) => stampOf(parts[name][0]) === undefined);
  await ensurePrograms(missing, progress, cache);
  if (missing.length === 0 && needsMariadb(cache) === undefined) return;

  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) if (name.endsWith(UNFINISHED)) removeFolder(join(cache, name));
  const promises = {};
  const context = (part) => ({
    part,
    cache,
    signal,
    log: join(cache, `install-${part}.log`),
    step: (text) => progress.step(part, text),
    /** Settles when the other part has. */
    after: (other) => promises[other],
  });
  const make = async (name, folder, work) => {
    await makePart(context(name), folder, work);
    progress.done(name, 'installed');
  };
  for (const name of missing) promises[name] = make(name, ...parts[name]);
  promises.mariadb = (async () => {
    await promises.debian;
    const folder = needsMariadb(cache);
    if (folder !== undefined) await make('mariadb', folder, installMariadb);
  })();
  const failures = (await Promise.allSettled(Object.values(promises))).filter(({ status }) => status === 'rejected');
  signal?.throwIfAborted();
  if (failures.length === 0) return;
  throw new Error([...new Set(failures.map(({ reason }) => reason.message))].join('\n'));
}

/** MariaDB's folder when it has to stand in for MySQL and is not there yet. */
function needsMariadb(cache) {
  const debian = stampOf(debianFolder(cache));
  const folder = mariadbFolder(cache);
  return debian !== undefined && debian.mysql === null && stampOf(folder) === undefined ? folder : undefined;
}

async function ensurePrograms(parts, progress, cache) {
  const needed = ['java', 'unshare', 'setpriv', 'chroot'];
  if (parts.includes('kafka')) needed.push('mvn');
  if (parts.includes('debian')) needed.push('debootstrap');
  const missing = missingPrograms(needed);
  const machine = thisMachine();
  const lines = obstacles(machine, missing);
  if (lines.length > 0) throw new RequirementsMissing(lines.join('\n'));
  if (missing.length === 0) return;
  const packages = packagesOf(missing);
  progress.step('machine', `apt-get install ${packages.join(' ')}`);
  mkdirSync(cache, { recursive: true });
  // Not cut short by a signal: half-configured packages would be left to whoever owns the machine.
  const options = { log: join(cache, 'install-machine.log'), env: { DEBIAN_FRONTEND: 'noninteractive' } };
  const apt = ['apt-get', '-y', '-q', '-o', 'DPkg::Lock::Timeout=300'];
  await run([...apt, 'update'], options).catch(() => undefined); // one broken source of many is no reason to stop
  await run([...apt, 'install', '--no-install-recommends', ...packages], options);
  progress.done('machine', 'ready');
}

/** Runs `work` on a folder with another name, which gets its own when it is complete. */
async function makePart(context, folder, work) {
  const unfinished = `${folder}${UNFINISHED}`;
  removeFolder(folder);
  mkdirSync(unfinished, { recursive: true });
  const facts = await work(context, unfinished);
  writeFileSync(join(unfinished, STAMP), `${JSON.stringify(facts)}\n`);
  renameSync(unfinished, folder);
}

/** Downloads fail now and then. */
async function retried({ signal, step }, work) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || signal?.aborted) throw error;
      const why = error.message.split('\n').at(-1).trim().slice(0, 120);
      step(`attempt ${attempt + 1} of ${ATTEMPTS}, after: ${why}`);
      await delay(attempt * 3_000, undefined, { signal });
    }
  }
}

const DEPENDENCY = ([group, artifact, version]) =>
  `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;

const POM = `<project><modelVersion>4.0.0</modelVersion>
<groupId>tributary</groupId><artifactId>engines</artifactId><version>1</version>
<dependencies>
${DEPENDENCY(['org.apache.kafka', 'kafka_2.13', KAFKA])}
${DEPENDENCY(['org.slf4j', 'slf4j-simple', '1.7.36'])}
</dependencies></project>
`;

async function installKafka(context, folder) {
  context.step(`Kafka ${KAFKA} from Maven Central`);
  writeFileSync(join(folder, 'pom.xml'), POM);
  const maven = ['mvn', '-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=libs'];
  await retried(context, () => run(contained(maven), { ...context, cwd: folder }));
  if (!existsSync(join(folder, 'libs', `kafka_2.13-${KAFKA}.jar`))) throw new Error('Maven did not bring Kafka.');
  return { kafka: KAFKA };
}

function hasGo() {
  if (missingPrograms(['go']).length > 0) return false;
  try {
    const [, major, minor] = /go(\d+)\.(\d+)/.exec(execFileSync('go', ['version'], { encoding: 'utf8' }));
    return Number(major) > FERRETDB_GO[0] || Number(minor) >= FERRETDB_GO[1];
  } catch {
    return false;
  }
}

async function installFerretdb(context, folder) {
  const build = ['go', 'install', `github.com/FerretDB/FerretDB/v2/cmd/ferretdb@v${FERRETDB}`];
  if (hasGo()) {
    context.step(`FerretDB ${FERRETDB} from the Go proxy, compiled here`);
    // Without cgo it needs no libraries, so it runs here wherever it was compiled.
    const env = { CGO_ENABLED: '0', GOBIN: folder };
    await retried(context, () => run(contained(build), { ...context, env }));
  } else {
    context.step('waits for Debian, whose Go compiles it');
    await context.after('debian');
    await compileInDebian(context, folder, build);
  }
  return { ferretdb: FERRETDB };
}

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
const GO_ENV = `HOME=/root GOPATH=/tmp/go GOCACHE=/tmp/go/cache GOBIN=/mnt CGO_ENABLED=0 SSL_CERT_FILE=${CERTIFICATES}`;

/** With Debian's Go, which is removed again, and the certificates that this machine trusts. */
async function compileInDebian(context, folder, build) {
  const root = debianFolder(context.cache);
  const inDebian = (command) => run(contained(inside({ root, mnt: folder }, command)), context);
  context.step('Go in Debian');
  await retried(context, () => inDebian(APT(['install', 'golang-go', 'ca-certificates'])));
  const trusted = process.env.SSL_CERT_FILE || CERTIFICATES;
  if (existsSync(trusted)) copyFileSync(trusted, join(root, CERTIFICATES));
  context.step(`FerretDB ${FERRETDB} from the Go proxy, compiled in Debian`);
  await retried(context, () => inDebian(['sh', '-c', `${GO_ENV} exec "$@"`, 'sh', ...build]));
  await inDebian(['sh', '-c', 'chmod -R u+w /tmp/go && rm -rf /tmp/go']);
  await inDebian(APT(['purge', '--autoremove', 'golang-go']));
}

/** apt-get that asks nothing; a mirror that has not been refreshed for a while will do, its signatures are checked anyway. */
const APT = (args) => [
  ...['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-y', '-q', '--no-install-recommends'],
  ...['-o', 'Acquire::Check-Valid-Until=false', ...args],
];

const MIRROR = 'http://deb.debian.org/debian';
/** The same for all releases; an older debootstrap has no names for later ones. */
const SCRIPT = '/usr/share/debootstrap/scripts/sid';

/** A Debian in a folder, whose packages start nothing. */
async function bootstrap(context, suite, folder) {
  context.step(`Debian ${suite}`);
  await retried(context, () => {
    removeFolder(folder);
    return run(contained(['debootstrap', '--variant=minbase', suite, folder, MIRROR, SCRIPT]), context);
  });
  writeFileSync(join(folder, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  copyFileSync('/etc/resolv.conf', join(folder, 'etc/resolv.conf'));
}

async function installPackages(context, folder, packages) {
  context.step(packages.join(', '));
  const apt = (args) => run(contained(inside({ root: folder, mnt: context.cache }, APT(args))), context);
  await retried(context, async () => {
    await apt(['update']);
    await apt(['install', ...packages]);
  });
  await apt(['clean']);
}

const versionIn = (root, program) =>
  /(\d+\.\d+)\.\d+/.exec(execFileSync('chroot', [root, program, '--version'], { encoding: 'utf8' }))?.[1];

/** PostgreSQL with DocumentDB, and MySQL if it can be had today. */
async function installDebian(context, folder) {
  let failure;
  for (const suite of SUITES) {
    try {
      await bootstrap(context, suite, folder);
      await installPackages(context, folder, POSTGRES);
    } catch (error) {
      context.signal?.throwIfAborted();
      failure ??= error;
      context.step(`Debian ${suite} cannot be used today`);
      continue;
    }
    const there = await installPackages(context, folder, [MYSQL]).then(
      () => true,
      () => false,
    );
    context.signal?.throwIfAborted();
    return { suite, mysql: there ? versionIn(folder, 'mysqld') : null };
  }
  throw failure;
}

async function installMariadb(context, folder) {
  context.step('MySQL cannot be installed today; MariaDB 10.11 stands in for it');
  await bootstrap(context, 'bookworm', folder);
  await installPackages(context, folder, ['mariadb-server-core', 'mariadb-client-core']);
  return { mariadb: versionIn(folder, 'mariadbd') };
}
