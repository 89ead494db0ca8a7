import { SETTINGS, type Config } from '../../../shared/config/config.js';
import { ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import { reasonOf } from '../words.js';

const area = 'configuration';

/** How long another issuer may take to answer, in milliseconds. */
const ISSUER_MS = 5_000;

const settings: Check = {
  name: 'settings',
  area,
  async run({ mistakes, env }) {
    if (mistakes.length > 0) {
      return mistakes.map((line) => problem(line, 'Change it; docs/configuration.md explains every setting.'));
    }
    const set = SETTINGS.filter((name) => (env[name] ?? '') !== '').length;
    return [ok(set === 0 ? 'every setting is at its default' : `${set} set, all of them valid`)];
  },
};

const access: Check = {
  name: 'access',
  area,
  async run({ config }) {
    const { auth, engines, demoExposed, host } = config;
    if (auth.mode === 'required') return [ok('whoever has no token is anonymous')];
    if (demoExposed) {
      return [
        warning(
          `whoever reaches ${host} is the demo administrator: AUTH_MODE is demo, and DEMO_EXPOSED is on`,
          'Set AUTH_MODE=required, unless nobody but you can reach it.',
        ),
      ];
    }
    if (engines.kind === 'servers') {
      return [
        warning(
          'demo mode on servers: whoever has no token is the demo administrator, and passwords of the demo data are known',
          'Set AUTH_MODE=required where there is anything to protect.',
        ),
      ];
    }
    return [ok('demo mode: whoever has no token is the demo administrator, from this machine only')];
  },
};

const secrets: Check = {
  name: 'secrets',
  area,
  async run({ config }) {
    const { engines, identitySecret, auth } = config;
    if (engines.kind === 'embedded') return [ok('one process, which makes its own')];
    if (identitySecret === undefined) {
      return [
        warning(
          'IDENTITY_SECRET is not set: processes apart do not start without it, and one for all makes another at each start',
          'Give all processes the same one, for example what `openssl rand -hex 32` prints.',
        ),
      ];
    }
    const own = auth.secret === undefined ? ', and encrypts the keys of access tokens too' : '; AUTH_SECRET is set too';
    return [ok(`IDENTITY_SECRET is set${own}`)];
  },
};

const verification: Check = {
  name: 'verification',
  area,
  async run({ config }) {
    const { verifiedOrders, mail, auth } = config;
    if (!verifiedOrders) return [ok('orders need no confirmed e-mail address')];
    if (mail.smtpUrl === undefined && auth.mode === 'required') {
      return [
        problem(
          'no customer can order: they have to confirm their e-mail address first, and no mail server is set to write to them',
          'Set SMTP_URL to a mail server, or VERIFIED_ORDERS=off.',
        ),
      ];
    }
    return [ok('customers confirm their e-mail address before they order')];
  },
};

const publicUrl: Check = {
  name: 'links',
  area,
  async run({ config, env }) {
    const { mail } = config;
    if (mail.smtpUrl !== undefined && (env['PUBLIC_URL'] ?? '') === '') {
      return [
        warning(
          `links in mails lead to ${mail.publicUrl}, which nobody else can open`,
          'Set PUBLIC_URL to where people reach the gateway.',
        ),
      ];
    }
    return [ok(`links in mails begin with ${mail.publicUrl}`)];
  },
};

const issuer: Check = {
  name: 'issuer',
  area,
  async run({ config, secrets: hidden }) {
    const { oidc } = config.auth;
    if (oidc === undefined) return [skipped('no other issuer of tokens is named')];
    const url = oidc.jwksUrl ?? `${oidc.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const todo =
      'Look at OIDC_ISSUER and OIDC_JWKS_URL, and whether the issuer runs. Its tokens are refused meanwhile.';
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(ISSUER_MS), redirect: 'error' });
      return [await issuerAnswer(config, url, response, todo)];
    } catch (error) {
      return [problem(`the issuer of tokens at ${url} gives no keys: ${reasonOf(error, hidden)}`, todo)];
    }
  },
};

async function issuerAnswer({ auth }: Config, url: string, response: Response, todo: string): Promise<Finding> {
  if (!response.ok) return problem(`the issuer of tokens at ${url} answers with ${response.status}`, todo);
  const answer = (await response.json()) as { readonly issuer?: unknown; readonly keys?: unknown };
  if (auth.oidc?.jwksUrl !== undefined) {
    return Array.isArray(answer.keys) ? ok(`${url} gives keys`) : problem(`${url} answers, but gives no keys`, todo);
  }
  if (answer.issuer === auth.oidc?.issuer) return ok(`${url} answers`);
  return problem(`the issuer at ${url} calls itself something else than OIDC_ISSUER, so its tokens are refused`, todo);
}

export const configuration: readonly Check[] = [settings, access, secrets, verification, publicUrl, issuer];
