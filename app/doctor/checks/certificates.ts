import { X509Certificate } from 'node:crypto';
import { resolveSrv } from 'node:dns/promises';
import type { EngineSettings } from '../../../shared/config/engines.js';
import type { TlsOptions } from '../../../shared/config/tls.js';
import { ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import { certificateOf, type Target } from '../tls.js';
import type { Subject } from '../subject.js';
import { reasonOf } from '../words.js';

const area = 'certificates';

const DAY = 86_400_000;
const SOON_MS = 30 * DAY;

const given: Check = {
  name: 'certificates in settings',
  area,
  async run({ config, env, now }) {
    const { engines } = config;
    if (engines.kind === 'embedded') return [skipped('embedded engines need none')];
    const findings = (['mysql', 'kafka', 'mongo'] as const).flatMap((name) =>
      (['ca', 'cert'] as const).flatMap((part) => {
        const pem = engines[name].tls?.[part];
        const variable = `${name.toUpperCase()}_TLS_${part.toUpperCase()}`;
        if (pem === undefined) return [];
        return certificatesIn(pem).map((one) =>
          expiry(`${variable}: ${subjectOf(one)}`, one, now(), `Put a new one into ${env[variable]}.`),
        );
      }),
    );
    return findings.length > 0 ? findings : [skipped('the settings name none')];
  },
};

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

const certificatesIn = (pem: string): X509Certificate[] =>
  (pem.match(CERTIFICATE) ?? []).map((one) => new X509Certificate(one));

const subjectOf = ({ subject }: X509Certificate): string => subject.split('\n').findLast((line) => line !== '') ?? 'it';

/** What is to be said of how long a certificate is good. */
export function expiry(what: string, certificate: X509Certificate, now: number, todo: string): Finding {
  const [from, to] = [certificate.validFrom, certificate.validTo].map((text) => Date.parse(text));
  const day = (at: number | undefined): string => new Date(at ?? 0).toISOString().slice(0, 10);
  if (to !== undefined && to < now) return problem(`${what} expired on ${day(to)}`, todo);
  if (from !== undefined && from > now) return problem(`${what} is valid from ${day(from)} only`, todo);
  const left = `${what} is good until ${day(to)}`;
  return to !== undefined && to - now < SOON_MS ? warning(left, todo) : ok(left);
}

const servers: Check = {
  name: 'certificates of servers',
  area,
  async run(subject) {
    const targets = await targetsOf(subject);
    if (targets.length === 0) return [skipped('TLS is on for no server')];
    return Promise.all(
      targets.map(async (target) => {
        try {
          const certificate = await certificateOf(target);
          const todo = `Give the server a new one.`;
          return expiry(`the certificate of ${target.title}`, certificate, subject.now(), todo);
        } catch (error) {
          return problem(
            `${target.title} shows no certificate: ${reasonOf(error)}`,
            'Look whether it speaks TLS there.',
          );
        }
      }),
    );
  },
};

async function targetsOf({ config }: Subject): Promise<Target[]> {
  const { engines, mail } = config;
  const targets = engines.kind === 'servers' ? await engineTargets(engines) : [];
  if (mail.smtpUrl?.startsWith('smtps:') === true) {
    const { hostname, port } = new URL(mail.smtpUrl);
    targets.push(target('mail server', `${hostname}:${port || 465}`, 465));
  }
  return targets;
}

async function engineTargets({ mysql, kafka, mongo }: Extract<EngineSettings, { kind: 'servers' }>): Promise<Target[]> {
  const targets: Target[] = [];
  if (mysql.tls !== undefined) {
    targets.push({ ...target('MySQL', new URL(mysql.url).host, 3306, mysql.tls), greets: true });
  }
  if (kafka.tls !== undefined) targets.push(...kafka.brokers.map((broker) => target('Kafka', broker, 9092, kafka.tls)));
  if (mongo.tls !== undefined) {
    for (const host of await mongoHosts(mongo.url)) targets.push(target('MongoDB', host, 27017, mongo.tls));
  }
  return targets;
}

function target(server: string, address: string, usual: number, own?: TlsOptions): Target {
  const [, host = address, port = String(usual)] = /^(.*?)(?::(\d+))?$/.exec(address) ?? [];
  return {
    title: `${server} at ${address}`,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port),
    greets: false,
    ...(own && { own }),
  };
}

async function mongoHosts(url: string): Promise<readonly string[]> {
  const [, srv, hosts = ''] = /^mongodb(\+srv)?:\/\/(?:[^@/?#]*@)?([^@/?#]*)/.exec(url) ?? [];
  if (srv === undefined) return hosts.split(',');
  const found = await resolveSrv(`_mongodb._tcp.${hosts}`);
  return found.map(({ name, port }) => `${name}:${port}`);
}

export const certificates: readonly Check[] = [given, servers];
