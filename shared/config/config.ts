import { resolve } from 'node:path';
import { z } from 'zod';
import { authModeOf, readAuth, wrongIssuerUrl, wrongOidc, type AuthSettings } from './auth.js';
import {
  DEFAULT_POOL_SIZE,
  readEngines,
  SASL_MECHANISMS,
  wrongBrokers,
  wrongMongoUrl,
  wrongMysqlUrl,
  wrongSubgraphUrl,
  type EngineSettings,
} from './engines.js';
import { limitsOf, wrongOrigins, type LimitSettings } from './limits.js';
import { mailOf, wrongMailSender, wrongPublicUrl, wrongSmtpUrl, type MailSettings } from './mail.js';
import { orderTimesOf, wrongDelay, wrongReminders, wrongTimes, type OrderTimes } from './order-times.js';
import { SAMPLERS, tracingOf, wrongCollectorUrl, type TracingSettings } from './tracing.js';

/** Whoever reaches a listener in demo mode is its administrator, so nobody else may. */
const LOOPBACK = /^(localhost|::1|127(\.\d{1,3}){3})$/;
const NOT_LOOPBACK =
  'must be 127.0.0.1, ::1 or localhost, for example 127.0.0.1: in demo mode whoever reaches it is the administrator. ' +
  'In a container whose ports are published on loopback only, set DEMO_EXPOSED=on beside it; elsewhere AUTH_MODE=required';

const whole = (lowest: number, highest: number, what: string, example: number) => {
  const wrong = `must be ${what}, ${lowest} to ${highest}, for example ${example}`;
  return z.coerce.number(wrong).int(wrong).min(lowest, wrong).max(highest, wrong);
};
const RATIO = 'must be a share, 0 to 1, for example 0.1';
const ratio = z.coerce.number(RATIO).min(0, RATIO).max(1, RATIO);
const port = (fallback: number) => whole(0, 65_535, 'a port', fallback).default(fallback);
const milliseconds = (highest: number, fallback: number) =>
  whole(0, highest, 'whole milliseconds', fallback).default(fallback);
const choice = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, `must be ${values.join(', ').replace(/, ([^,]*)$/, ' or $1')}, for example ${values[0]}`);
const text = (pattern: RegExp, wrong: string) => z.string().regex(pattern, wrong);
/** A text that `wrong` finds nothing wrong with. */
const sound = (wrong: (value: string) => string | undefined) =>
  z.string().superRefine((value, context) => {
    const message = wrong(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
const any = z.string();

/** Every setting there is, by its environment variable. docs/configuration.md lists them; a test keeps the two in step. */
const environment = z.object({
  DATA_DIR: any.default('.data'),

  MYSQL_URL: sound(wrongMysqlUrl).optional(),
  MYSQL_POOL_SIZE: whole(2, 200, 'a number of connections', DEFAULT_POOL_SIZE).default(DEFAULT_POOL_SIZE),
  MYSQL_TLS: choice('on', 'off').default('off'),
  MYSQL_TLS_CA: any.optional(),
  KAFKA_BROKERS: sound(wrongBrokers).optional(),
  KAFKA_REPLICATION: whole(1, 9, 'a number of copies', 3).optional(),
  KAFKA_TLS: choice('on', 'off').default('off'),
  KAFKA_TLS_CA: any.optional(),
  KAFKA_TLS_CERT: any.optional(),
  KAFKA_TLS_KEY: any.optional(),
  KAFKA_SASL_MECHANISM: choice(...SASL_MECHANISMS).optional(),
  KAFKA_SASL_USERNAME: any.optional(),
  KAFKA_SASL_PASSWORD: any.optional(),
  MONGO_URL: sound(wrongMongoUrl).optional(),
  MONGO_TLS: choice('on', 'off').default('off'),
  MONGO_TLS_CA: any.optional(),
  NAMESPACE: text(
    /^([a-z0-9][a-z0-9_-]{0,31})?$/,
    'must be up to 32 lower-case letters, digits, _ and -, a letter or digit first, for example staging',
  ).default(''),
  START_TIMEOUT_MS: milliseconds(3_600_000, 60_000),
  /** Folder in which `npm run engines` keeps its servers, and the file that names them. */
  ENGINES_DIR: any.optional(),

  HOST: text(/^[\w.:-]+$/, 'must be an address of this machine, for example 127.0.0.1').default('127.0.0.1'),
  DEMO_EXPOSED: choice('on', 'off').default('off'),
  GATEWAY_PORT: port(4000),
  USER_PORT: port(4001),
  PRODUCT_PORT: port(4002),
  ORDER_PORT: port(4003),
  BALANCE_PORT: port(4004),
  QUERY_PORT: port(4005),
  REST_PORT: port(3003),
  USER_WORKER_PORT: port(4011),
  PRODUCT_WORKER_PORT: port(4012),
  ORDER_WORKER_PORT: port(4013),
  BALANCE_WORKER_PORT: port(4014),
  PROJECTOR_PORT: port(4015),
  USER_URL: sound(wrongSubgraphUrl).optional(),
  PRODUCT_URL: sound(wrongSubgraphUrl).optional(),
  ORDER_URL: sound(wrongSubgraphUrl).optional(),
  BALANCE_URL: sound(wrongSubgraphUrl).optional(),
  QUERY_URL: sound(wrongSubgraphUrl).optional(),

  /** Shared by gateway and subgraphs; signs who is asking. */
  IDENTITY_SECRET: z
    .string()
    .min(32, 'must be 32 characters or more, for example what `openssl rand -hex 32` prints')
    .optional(),
  AUTH_MODE: choice('demo', 'required').optional(),
  /** Encrypts the keys that sign access tokens, and signs the links in verification mails. */
  AUTH_SECRET: z
    .string()
    .min(32, 'must be 32 characters or more, for example what `openssl rand -hex 32` prints')
    .optional(),
  ACCESS_TOKEN_TTL_MS: whole(1_000, 86_400_000, 'whole milliseconds', 3_600_000).default(3_600_000),
  SIGNING_KEY_ROTATION_MS: whole(60_000, 31_536_000_000, 'whole milliseconds', 2_592_000_000).default(2_592_000_000),
  REST_AUTH: choice('on', 'off').optional(),
  OIDC_ISSUER: sound(wrongIssuerUrl).optional(),
  OIDC_AUDIENCE: any.optional(),
  OIDC_JWKS_URL: sound(wrongIssuerUrl).optional(),
  OIDC_USER_CLAIM: any.default('sub'),
  OIDC_ROLE_CLAIM: any.default('role'),
  OIDC_ADMIN_ROLE: any.default('ADMIN'),

  /** A composed supergraph in place of the built-in one. */
  SUPERGRAPH: any.optional(),
  SUPERGRAPH_POLL_MS: milliseconds(3_600_000, 0),

  /** What clients may do; docs/limits.md has the reasons. */
  RATE_LIMIT: choice('on', 'off').default('on'),
  RATE_LIMIT_STORE: choice('memory', 'mongodb').default('memory'),
  RATE_LIMIT_CLIENT: whole(1, 1_000_000_000, 'a number of points', 6_000).optional(),
  RATE_LIMIT_SUBGRAPH: whole(1, 1_000_000_000, 'a number of calls', 30_000).optional(),
  MAX_COST: whole(100, 100_000_000, 'a number of fields', 100_000).default(100_000),
  REQUEST_TIMEOUT_MS: whole(100, 600_000, 'whole milliseconds', 30_000).default(30_000),
  SOCKETS_PER_ADDRESS: whole(1, 1_000_000, 'a number of sockets', 200).optional(),
  OPERATIONS_PER_SOCKET: whole(1, 100_000, 'a number of operations', 100).default(100),
  CONNECTIONS_PER_ADDRESS: whole(1, 1_000_000, 'a number of connections', 500).optional(),
  TRUSTED_PROXIES: whole(0, 10, 'a number of proxies', 1).default(0),
  INTROSPECTION: choice('on', 'off').optional(),
  ALLOWED_ORIGINS: sound(wrongOrigins).default(''),

  /** Mail; docs/mail.md has the rest. */
  SMTP_URL: sound(wrongSmtpUrl).optional(),
  MAIL_FROM: sound(wrongMailSender).default('Tributary <no-reply@tributary.example>'),
  PUBLIC_URL: sound(wrongPublicUrl).optional(),

  /** The clock of orders; docs/orders.md has the rest. */
  ORDER_REMINDERS: sound(wrongReminders).default('4h,12h,22h'),
  ORDER_EXPIRY: sound(wrongDelay).default('24h'),
  ORDER_PROCESSING_AFTER: sound(wrongDelay).default('off'),
  ORDER_COMPLETION_AFTER: sound(wrongDelay).default('off'),
  VERIFIED_ORDERS: choice('on', 'off').default('on'),

  DEMO_DATA: choice('on', 'off').default('on'),
  WALLET_CORE: choice('own', 'external').default('own'),
  /** How long a read waits for the view to reach the version it was asked for, in milliseconds. */
  PROJECTION_WAIT_MS: milliseconds(60_000, 2_000),

  LOG_LEVEL: choice('info', 'fatal', 'error', 'warn', 'debug', 'trace', 'silent').default('info'),
  LOG_FORMAT: choice('auto', 'json', 'pretty').default('auto'),

  /** Traces; the names are OpenTelemetry's. docs/tracing.md shows them. */
  OTEL_EXPORTER_OTLP_ENDPOINT: sound(wrongCollectorUrl).optional(),
  OTEL_TRACES_EXPORTER: choice('otlp', 'console', 'none').optional(),
  OTEL_SERVICE_NAME: any.optional(),
  OTEL_TRACES_SAMPLER: choice(...SAMPLERS).default('parentbased_always_on'),
  OTEL_TRACES_SAMPLER_ARG: ratio.default(1),
  DEBUG_EXTENSIONS: choice('on', 'off').default('off'),
});

type Environment = z.infer<typeof environment>;

export const SUBGRAPHS = ['user', 'product', 'order', 'balance', 'query'] as const;
export type SubgraphName = (typeof SUBGRAPHS)[number];

export const WORKERS = ['user-worker', 'product-worker', 'order-worker', 'balance-worker', 'projector'] as const;
export type WorkerName = (typeof WORKERS)[number];

export interface Config {
  readonly engines: EngineSettings;
  /** How long a start waits for engines that are away, in milliseconds. */
  readonly startTimeoutMs: number;
  readonly host: string;
  /** Others than this machine's own programs may reach the listeners, although everybody is the demo administrator. */
  readonly demoExposed: boolean;
  readonly ports: Readonly<Record<SubgraphName | 'gateway' | 'rest', number>>;
  /** Health and metrics of workers that run as processes of their own. */
  readonly workerPorts: Readonly<Record<WorkerName, number>>;
  /** Where a gateway of its own finds the subgraphs: `http://127.0.0.1:4003`. */
  readonly subgraphUrls: Readonly<Record<SubgraphName, string>>;
  /** Unset: each start makes one of its own, which serves one process. */
  readonly identitySecret: string | undefined;
  readonly auth: AuthSettings;
  readonly supergraph: {
    /** A file with a composed supergraph; undefined: the built-in one. */
    readonly path: string | undefined;
    /** Pause between two looks at the file, in milliseconds; 0: only when it is asked for. */
    readonly pollMs: number;
  };
  readonly mail: MailSettings;
  /** What happens to orders by the clock alone. */
  readonly orderTimes: OrderTimes;
  /** Whether customers have to confirm their e-mail address before they order. */
  readonly verifiedOrders: boolean;
  readonly demoData: boolean;
  /** `external` hands all accounts to a foreign Wallet Core. */
  readonly walletCore: Environment['WALLET_CORE'];
  /** What the gateway lets its clients do. */
  readonly limits: LimitSettings;
  readonly logLevel: Environment['LOG_LEVEL'];
  readonly logFormat: Environment['LOG_FORMAT'];
  /** Where traces go; undefined: nowhere, and nothing of OpenTelemetry is loaded. */
  readonly tracing: TracingSettings | undefined;
  /** `extensions.tributary` of the gateway's answers. */
  readonly debug: {
    /** With every answer, not only where it is asked for. */
    readonly always: boolean;
    /** Also to others than administrators. */
    readonly everybody: boolean;
  };
  readonly projectionWaitMs: number;
}

/** A setting is wrong; the message names the variable and what it accepts, a line per mistake. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads the settings, and the certificates and keys that they name.
 * @throws ConfigError with a line per mistake, none of which repeats a value that may be secret
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const mistakes: { readonly variable: string; readonly wrong: string }[] = [];
  const report = (variable: string, wrong: string): void => void mistakes.push({ variable, wrong });

  const parsed = environment.safeParse(given);
  for (const { path, message } of parsed.error?.issues ?? []) report(path.join('.'), message);
  const engines = readEngines(given, resolve(given['DATA_DIR'] ?? '.data'), report);
  const demo = authModeOf(given['AUTH_MODE'], engines.kind) === 'demo';
  if (demo && !LOOPBACK.test(given['HOST'] ?? '127.0.0.1') && given['DEMO_EXPOSED'] !== 'on') {
    report('HOST', NOT_LOOPBACK);
  }
  if (parsed.success) {
    const wrong = wrongTimes(parsed.data);
    if (wrong !== undefined) report(wrong.variable, wrong.wrong);
  }
  const lonely = wrongOidc(given);
  if (lonely !== undefined) report(lonely.variable, lonely.wrong);
  if (engines.kind === 'embedded' && given['RATE_LIMIT_STORE'] === 'mongodb') {
    report('RATE_LIMIT_STORE', 'mongodb needs MONGO_URL; embedded engines count in memory, for example memory');
  }
  if (!parsed.success || mistakes.length > 0) throw new ConfigError(inOrder(mistakes).join('\n'));

  const e = parsed.data;
  const here = `http://${hostInUrl(reachable(e.HOST))}`;
  const urlOf = (url: string | undefined, port: number): string =>
    url === undefined ? `${here}:${port}` : new URL(url).origin;
  return {
    engines,
    startTimeoutMs: e.START_TIMEOUT_MS,
    host: e.HOST,
    demoExposed: demo && e.DEMO_EXPOSED === 'on',
    ports: {
      gateway: e.GATEWAY_PORT,
      user: e.USER_PORT,
      product: e.PRODUCT_PORT,
      order: e.ORDER_PORT,
      balance: e.BALANCE_PORT,
      query: e.QUERY_PORT,
      rest: e.REST_PORT,
    },
    workerPorts: {
      'user-worker': e.USER_WORKER_PORT,
      'product-worker': e.PRODUCT_WORKER_PORT,
      'order-worker': e.ORDER_WORKER_PORT,
      'balance-worker': e.BALANCE_WORKER_PORT,
      projector: e.PROJECTOR_PORT,
    },
    subgraphUrls: {
      user: urlOf(e.USER_URL, e.USER_PORT),
      product: urlOf(e.PRODUCT_URL, e.PRODUCT_PORT),
      order: urlOf(e.ORDER_URL, e.ORDER_PORT),
      balance: urlOf(e.BALANCE_URL, e.BALANCE_PORT),
      query: urlOf(e.QUERY_URL, e.QUERY_PORT),
    },
    identitySecret: e.IDENTITY_SECRET,
    auth: readAuth(e, engines.kind),
    supergraph: {
      path: e.SUPERGRAPH === undefined ? undefined : resolve(e.SUPERGRAPH),
      pollMs: e.SUPERGRAPH_POLL_MS,
    },
    mail: mailOf(e, `${here}:${e.GATEWAY_PORT}`),
    orderTimes: orderTimesOf(e),
    verifiedOrders: e.VERIFIED_ORDERS === 'on',
    demoData: e.DEMO_DATA === 'on',
    walletCore: e.WALLET_CORE,
    limits: limitsOf(e, demo ? 'demo' : 'required'),
    logLevel: e.LOG_LEVEL,
    logFormat: e.LOG_FORMAT,
    tracing: tracingOf(e),
    debug: { always: e.DEBUG_EXTENSIONS === 'on', everybody: demo },
    projectionWaitMs: e.PROJECTION_WAIT_MS,
  };
}

export const SETTINGS = Object.keys(environment.shape);

/** A line per mistake, in the order of the settings. */
function inOrder(mistakes: readonly { readonly variable: string; readonly wrong: string }[]): string[] {
  const place = ({ variable }: { readonly variable: string }): number => SETTINGS.indexOf(variable);
  return [...mistakes].sort((a, b) => place(a) - place(b)).map(({ variable, wrong }) => `${variable}: ${wrong}`);
}

/** An address under which this machine reaches a listener on `host`. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** The host as an address spells it: IPv6 in brackets. */
export function hostInUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
