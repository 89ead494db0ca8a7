import { resolve } from 'node:path';
import { z } from 'zod';

const PORT = 'must be a port, 0 to 65535';
const port = (fallback: number) => z.coerce.number(PORT).int(PORT).min(0, PORT).max(65_535, PORT).default(fallback);

/** Whoever reaches a listener in demo mode is its administrator, so nobody else may. */
const LOOPBACK = /^(localhost|::1|127(\.\d{1,3}){3})$/;
const NOT_LOOPBACK = 'must be 127.0.0.1, ::1 or localhost: in demo mode whoever reaches it is the administrator';

/** Every setting there is, by its environment variable. docs/configuration.md lists them; a test keeps the two in step. */
const environment = z.object({
  DATA_DIR: z.string().min(1).default('.data'),
  HOST: z.string().regex(LOOPBACK, NOT_LOOPBACK).default('127.0.0.1'),
  GATEWAY_PORT: port(4000),
  USER_PORT: port(4001),
  PRODUCT_PORT: port(4002),
  ORDER_PORT: port(4003),
  BALANCE_PORT: port(4004),
  QUERY_PORT: port(4005),
  REST_PORT: port(3003),
  /** Shared by gateway and subgraphs; signs who is asking. */
  IDENTITY_SECRET: z.string().min(32).optional(),
  AUTH_MODE: z.enum(['demo']).default('demo'),
  DEMO_DATA: z.enum(['on', 'off']).default('on'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  LOG_FORMAT: z.enum(['json', 'pretty', 'auto']).default('auto'),
  /** How long a read waits for the view to reach the version it was asked for, in milliseconds. */
  PROJECTION_WAIT_MS: z.coerce.number().int().min(0).max(60_000).default(2_000),
});

export const SUBGRAPHS = ['user', 'product', 'order', 'balance', 'query'] as const;
export type SubgraphName = (typeof SUBGRAPHS)[number];

export interface Config {
  readonly dataDir: string;
  readonly host: string;
  readonly ports: Readonly<Record<SubgraphName | 'gateway' | 'rest', number>>;
  /** Unset: each start makes one of its own. */
  readonly identitySecret: string | undefined;
  readonly demoData: boolean;
  readonly logLevel: z.infer<typeof environment>['LOG_LEVEL'];
  readonly logFormat: z.infer<typeof environment>['LOG_FORMAT'];
  readonly projectionWaitMs: number;
}

/** A setting is wrong; the message names the variable and what it accepts, a line per mistake. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Addresses of engines that are not supported yet. Ignored, they would let people believe that their data is there. */
const SERVERS = ['MYSQL_URL', 'KAFKA_BROKERS', 'MONGO_URL'] as const;

/** @throws ConfigError */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(given);
  const mistakes = [
    ...(parsed.error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`),
    ...SERVERS.filter((name) => name in given).map(
      (name) => `${name}: this version has embedded engines only; unset it`,
    ),
  ];
  if (!parsed.success || mistakes.length > 0) throw new ConfigError(mistakes.join('\n'));
  const e = parsed.data;
  return {
    dataDir: resolve(e.DATA_DIR),
    host: e.HOST,
    ports: {
      gateway: e.GATEWAY_PORT,
      user: e.USER_PORT,
      product: e.PRODUCT_PORT,
      order: e.ORDER_PORT,
      balance: e.BALANCE_PORT,
      query: e.QUERY_PORT,
      rest: e.REST_PORT,
    },
    identitySecret: e.IDENTITY_SECRET,
    demoData: e.DEMO_DATA === 'on',
    logLevel: e.LOG_LEVEL,
    logFormat: e.LOG_FORMAT,
    projectionWaitMs: e.PROJECTION_WAIT_MS,
  };
}

export const SETTINGS = Object.keys(environment.shape);
