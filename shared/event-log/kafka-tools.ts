import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { Kafka, logLevel, type Admin, type ISocketFactory } from 'kafkajs';
import { silentLogger } from '../observability/logger.js';
import { openKafkaEventLog, type KafkaEventLogOptions } from './kafka.js';
import type { EventLog } from './port.js';

/** The brokers that tests run against: `KAFKA_BROKERS`, as for the system itself. */
export const testBrokers = (): string[] => {
  const brokers = process.env['KAFKA_BROKERS'];
  if (!brokers) throw new Error('These tests need KAFKA_BROKERS, for example 127.0.0.1:9092.');
  return brokers.split(',');
};

/** A namespace that nobody else uses. */
export const freshNamespace = (): string => `t${randomUUID().replaceAll('-', '').slice(0, 16)}`;

export const openTestLog = (namespace: string, more: Partial<KafkaEventLogOptions> = {}): Promise<EventLog> =>
  openKafkaEventLog({ brokers: testBrokers(), namespace, clientId: 'tributary-test', log: silentLogger(), ...more });

export const plainKafka = (): Kafka => new Kafka({ brokers: testBrokers(), logLevel: logLevel.NOTHING });

export async function withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = plainKafka().admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Removes the topics and groups of a namespace. */
export async function removeKafkaNamespace(namespace: string): Promise<void> {
  await withAdmin(async (admin) => {
    const mine = (name: string): boolean => name.startsWith(`${namespace}.`);
    const { groups } = await admin.listGroups();
    await admin.deleteGroups(groups.map(({ groupId }) => groupId).filter(mine)).catch(() => undefined);
    await admin.deleteTopics({ topics: (await admin.listTopics()).filter(mine) });
  });
}

/** A way to the brokers that can be cut: for the process behind it they are gone, and it is gone for them. */
export class CuttableLine {
  private readonly sockets = new Set<Socket>();
  private isCut = false;

  readonly socketFactory: ISocketFactory = ({ host, port, onConnect }) => {
    if (this.isCut) throw new Error('The line is cut.');
    const socket = connect({ host, port }, onConnect);
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    return socket;
  };

  /** How many connections there are over it. */
  get connections(): number {
    return this.sockets.size;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.destroy(new Error('The line is cut.'));
  }

  mend(): void {
    this.isCut = false;
  }
}

/** A codec that packs nothing, in the framing that Kafka's Java clients use for snappy. */
export function framedAsSnappy(bytes: Buffer): Buffer {
  const literals: Buffer[] = [varint(bytes.length)];
  for (let at = 0; at < bytes.length; at += 60) {
    const part = bytes.subarray(at, at + 60);
    literals.push(Buffer.from([(part.length - 1) << 2]), part);
  }
  const block = Buffer.concat(literals);
  const head = Buffer.from([0x82, ...Buffer.from('SNAPPY'), 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
  head.writeInt32BE(block.length, 16);
  return Buffer.concat([head, block]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
