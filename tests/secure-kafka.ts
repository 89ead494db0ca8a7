import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installEngines } from '../ops/engines/api.mjs';
import { cacheFolder } from '../ops/engines/folders.mjs';
import { kafkaFolder } from '../ops/engines/install.mjs';
import { freePorts } from './ports.js';

/** Who may come in by password. */
export const SECURE_USER = { username: 'tributary', password: 'not/so%secret' } as const;

/** A certificate and its private key, as PEM texts. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A broker that lets nobody in unproven: for tests of TLS and SASL. */
export interface SecureBroker {
  /** TLS, and a password by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. */
  readonly passwords: string;
  /** TLS, and a certificate of the authority's. */
  readonly certificates: string;
  /** Of the authority that signed the broker's certificate. */
  readonly ca: string;
  /** Signed by the authority. */
  readonly client: KeyPair;
  /** Signed by nobody whom the broker knows. */
  readonly stranger: KeyPair;
  stop(): Promise<void>;
}

/** Starts the broker on free ports of the loopback, with certificates made now; it dies with this process at the latest. */
export async function startSecureBroker(): Promise<SecureBroker> {
  await installEngines();
  const folder = mkdtempSync(join(tmpdir(), 'tributary-secure-kafka-'));
  const authority = selfSigned(folder, 'authority');
  const broker = signed(folder, 'broker', 'subjectAltName=IP:127.0.0.1');
  const [passwords = 0, certificates = 0, internal = 0, controller = 0] = await freePorts(4);
  const keystore = join(folder, 'keystore.pem');
  writeFileSync(keystore, pkcs8(folder, 'broker') + broker.cert);
  const properties = join(folder, 'server.properties');
  writeFileSync(
    properties,
    serverProperties({ passwords, certificates, internal, controller, folder, keystore, authority }),
  );
  const java = ['-Xmx384m', '-XX:TieredStopAtLevel=1', '-cp', join(kafkaFolder(cacheFolder()), 'libs/*')];
  const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
    '--add-scram',
    `${mechanism}=[name=${SECURE_USER.username},password=${SECURE_USER.password}]`,
  ]);
  const format = ['kafka.tools.StorageTool', 'format', '-t', randomBytes(11).toString('hex'), '-c', properties];
  execFileSync('java', [...java, ...format, ...scram], { stdio: 'pipe' });
  const process = spawn('setpriv', ['--pdeathsig', 'KILL', 'java', ...java, 'kafka.Kafka', properties], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stop = async (): Promise<void> => {
    await ended(process);
    rmSync(folder, { recursive: true, force: true });
  };
  await serving(process).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    passwords: `127.0.0.1:${passwords}`,
    certificates: `127.0.0.1:${certificates}`,
    ca: authority.cert,
    client: signed(folder, 'client'),
    stranger: selfSigned(folder, 'stranger'),
    stop,
  };
}

interface BrokerFacts {
  readonly passwords: number;
  readonly certificates: number;
  readonly internal: number;
  readonly controller: number;
  readonly folder: string;
  readonly keystore: string;
  readonly authority: KeyPair;
}

function serverProperties(facts: BrokerFacts): string {
  const { passwords, certificates, internal, controller, folder, keystore, authority } = facts;
  const authorities = join(folder, 'authorities.pem');
  writeFileSync(authorities, authority.cert);
  const data = join(folder, 'data');
  mkdirSync(data);
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
listeners=PASSWORDS://127.0.0.1:${passwords},CERTIFICATES://127.0.0.1:${certificates},INTERNAL://127.0.0.1:${internal},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PASSWORDS://127.0.0.1:${passwords},CERTIFICATES://127.0.0.1:${certificates},INTERNAL://127.0.0.1:${internal}
inter.broker.listener.name=INTERNAL
controller.listener.names=CONTROLLER
listener.security.protocol.map=PASSWORDS:SASL_SSL,CERTIFICATES:SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location=${keystore}
ssl.truststore.type=PEM
ssl.truststore.location=${authorities}
listener.name.certificates.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.passwords.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${SECURE_USER.username}="${SECURE_USER.password}";
listener.name.passwords.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.passwords.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
log.dirs=${data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
`;
}

const openssl = (folder: string, ...args: string[]): string =>
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });

const pairOf = (folder: string, name: string): KeyPair => ({
  cert: readFileSync(join(folder, `${name}.pem`), 'utf8'),
  key: readFileSync(join(folder, `${name}.key`), 'utf8'),
});

function selfSigned(folder: string, name: string): KeyPair {
  const request = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=${name} -keyout ${name}.key -out ${name}.pem`;
  openssl(folder, ...request.split(' '));
  return pairOf(folder, name);
}

function signed(folder: string, name: string, extension = 'extendedKeyUsage=clientAuth'): KeyPair {
  const request = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=${name} -keyout ${name}.key -out ${name}.pem`;
  openssl(folder, ...request.split(' '), ...['-CA', 'authority.pem', '-CAkey', 'authority.key'], '-addext', extension);
  return pairOf(folder, name);
}

/** The form of private key that Kafka reads. */
const pkcs8 = (folder: string, name: string): string =>
  openssl(folder, 'pkcs8', '-topk8', '-nocrypt', '-in', `${name}.key`);

function serving(process: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const hear = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes('Kafka Server started')) resolve();
    };
    process.stdout?.on('data', hear);
    process.stderr?.on('data', hear);
    process.once('error', reject);
    process.once('exit', () => reject(new Error(`The broker ended: ${output.slice(-2_000)}`)));
  });
}

function ended(process: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (process.exitCode !== null || process.signalCode !== null) return resolve();
    process.once('exit', () => resolve());
    process.kill('SIGKILL');
  });
}
