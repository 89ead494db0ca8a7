import { setTimeout as pause } from 'node:timers/promises';
import { serverAddresses, type EngineSettings } from '../shared/config/engines.js';
import type { Database, DatabaseOptions } from '../shared/database/port.js';
import type { DocumentStore } from '../shared/document-store/port.js';
import { EngineUnavailable } from '../shared/errors/errors.js';
import { topicSpecs } from '../shared/events/catalogue.js';
import type { EventLog } from '../shared/event-log/port.js';
import type { Logger } from '../shared/observability/logger.js';
import { ALL_ENGINES, type Engines, type OpenOptions } from './engines.js';

/** A server that did not answer until the start gave up. The same start may work later. */
export class EngineAway extends EngineUnavailable {
  constructor(
    title: string,
    /** For whoever started the process: where it was looked for, and what to do. */
    readonly advice: string,
    cause: unknown,
  ) {
    super(title, cause);
  }
}

/** A server that answers but will not serve us: wrong password, no right to create a database, no TLS. */
export class EngineRefused extends Error {
  override readonly name = 'EngineRefused';
}

/** Pause between attempts: doubles from the first to the last. */
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 2_000;

/** How often a wait for a server is logged. */
const TELL_EVERY_MS = 5_000;

interface Server {
  /** `MySQL`, for messages. */
  readonly title: string;
  readonly address: string;
  /** The variable that names it. */
  readonly variable: string;
}

type ServerSettings = Extract<EngineSettings, { kind: 'servers' }>;

/** Kafka, MySQL and MongoDB, those of them that are needed. Drivers are loaded here and nowhere else. */
export async function openServers(
  settings: ServerSettings,
  timeoutMs: number,
  { clientId, instanceId, log, needs = ALL_ENGINES, shared = false }: OpenOptions,
): Promise<Engines> {
  const { namespace } = settings;
  const addresses = serverAddresses(settings);
  const until = performance.now() + timeoutMs;
  const wait = <T>(server: Server, open: () => Promise<T>): Promise<T> => waitFor(server, until, log, open);
  const opened: { close(): Promise<void> }[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one.close();
  };

  // One after the other, and only what is needed: each takes a moment and some memory.
  const kafka = needs.includes('eventLog') ? await import('../shared/event-log/kafka.js') : undefined;
  const mongodb = needs.includes('documents') ? await import('../shared/document-store/mongodb.js') : undefined;
  const mysql = needs.includes('database') ? await import('../shared/database/mysql.js') : undefined;

  const openLog = async (): Promise<EventLog> => {
    if (kafka === undefined) return unopened('event log') as EventLog;
    const eventLog = await wait({ title: 'Kafka', address: addresses.kafka, variable: 'KAFKA_BROKERS' }, async () =>
      sound(await kafka.openKafkaEventLog({ ...settings.kafka, namespace, clientId, instanceId, log }), (one) =>
        // Beside a system that runs there are topics.
        shared ? Promise.resolve() : one.ensureTopics(topicSpecs()),
      ),
    );
    opened.push(eventLog);
    return eventLog;
  };
  const openDocuments = async (): Promise<DocumentStore> => {
    if (mongodb === undefined) return unopened('document store') as DocumentStore;
    const documents = await wait({ title: 'MongoDB', address: addresses.mongo, variable: 'MONGO_URL' }, async () =>
      sound(await mongodb.openMongoDocumentStore({ ...settings.mongo, namespace, log }), (one) => one.ping()),
    );
    opened.push(documents);
    return documents;
  };
  const openDatabase = async (options: DatabaseOptions): Promise<Database> => {
    if (mysql === undefined) return unopened('database') as Database;
    return wait({ title: 'MySQL', address: addresses.mysql, variable: 'MYSQL_URL' }, () =>
      mysql.openMysqlDatabase({ ...options, ...settings.mysql, namespace, log }),
    );
  };

  // Both at once: a start takes as long as the slower one.
  const [eventLog, documents] = await Promise.allSettled([openLog(), openDocuments()]);
  if (eventLog.status === 'fulfilled' && documents.status === 'fulfilled') {
    return { eventLog: eventLog.value, documents: documents.value, openDatabase, close };
  }
  await close().catch((error: unknown) => log.debug({ err: error }, 'an engine did not close'));
  throw eventLog.status === 'rejected' ? eventLog.reason : (documents as PromiseRejectedResult).reason;
}

/** What was opened, once it works; closed again where it does not. */
async function sound<T extends { close(): Promise<void> }>(one: T, works: (one: T) => Promise<void>): Promise<T> {
  try {
    await works(one);
    return one;
  } catch (error) {
    await one.close().catch(() => undefined);
    throw error;
  }
}

async function waitFor<T>(
  { title, address, variable }: Server,
  until: number,
  log: Logger,
  open: () => Promise<T>,
): Promise<T> {
  let told = -Infinity;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LAST_PAUSE_MS)) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof EngineUnavailable)) {
        const message = `${title} at ${address} answers, but not as it should: ${reasonOf(error)}. Look at ${variable}.`;
        throw new EngineRefused(message, { cause: error });
      }
      const reason = reasonOf(error.cause ?? error).replace(new RegExp(`^${title} at \\S+: `), '');
      if (performance.now() + wait > until) {
        const advice = `${title} at ${address} cannot be reached: ${reason}. Start it, or change ${variable}.`;
        throw new EngineAway(title, advice, error);
      }
      if (performance.now() - told > TELL_EVERY_MS) {
        told = performance.now();
        log.warn({ address, reason }, `${title} cannot be reached yet; waiting for it`);
      }
      await pause(wait);
    }
  }
}

/** In one line. A refused connection to several addresses has no message of its own. */
function reasonOf(error: unknown): string {
  const { message = String(error), code } = error as { readonly message?: string; readonly code?: unknown };
  const [first = ''] = (message === '' ? String(code) : message).split('\n');
  return first.replace(/\.$/, '');
}

/** Stands for an engine that a process has no use for: whoever uses it all the same is told so. */
function unopened(engine: string): object {
  const refuse = (): never => {
    throw new Error(`This process has opened no ${engine}.`);
  };
  // A promise that resolves with it asks for `then`.
  return new Proxy({}, { get: (_target, property) => (property === 'then' ? undefined : refuse()) });
}
