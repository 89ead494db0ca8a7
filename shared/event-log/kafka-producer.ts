import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineUnavailable } from '../errors/errors.js';
import {
  byLeader,
  byTopic,
  errorType,
  idOf,
  partitionsOf,
  type KafkaBroker,
  type KafkaClient,
  type KafkaCluster,
} from './kafka-client.js';
import { before, GIVE_UP_MS, KafkaLink, NoSuchTopic } from './kafka-link.js';
import { partitionOf } from './murmur2.js';
import { RecordRefused, type LogRecord } from './port.js';

/** Largest record: key, value and headers in bytes. A broker's own limit, by default about the same, is told by itself. */
const MAX_RECORD_BYTES = 1024 * 1024;
/** All records of a partition in one request are one batch to the broker, and a batch has the limit of a record. */
const MAX_CHUNK_BYTES = 900_000;
/** Calls that wait for the same send share it, up to this many bytes. */
const MAX_ROUND_BYTES = 8_000_000;
/** What Kafka adds to a record and to a header, at most. */
const RECORD_OVERHEAD_BYTES = 40;
const HEADER_OVERHEAD_BYTES = 10;
const ACKS_ALL = -1;
const BROKER_TIMEOUT_MS = 4_000;
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1_000;

/** The broker will never take this batch. */
const REFUSALS: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
]);

/** Broker and producer no longer agree on what was sent last: only a new producer id helps. */
const LOST_COUNT: ReadonlySet<string> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'DUPLICATE_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
  // PRODUCER_FENCED is younger than kafkajs.
  'KAFKAJS_UNKNOWN_ERROR_CODE',
]);

interface Call {
  readonly records: readonly LogRecord[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  refusal: RecordRefused | null;
}

interface Item {
  readonly record: LogRecord;
  readonly call: Call;
}

/** Records for one partition that go in one batch. */
interface Chunk {
  /** On the brokers. */
  readonly topic: string;
  readonly partition: number;
  readonly items: readonly Item[];
  sent: boolean;
}

/** What lets a broker recognise a batch that comes twice: it counts the records per producer and partition. */
interface Producer {
  readonly id: string;
  readonly epoch: number;
  readonly sequences: Map<string, number>;
}

/**
 * Sends records: all replicas acknowledge, one request at a time, so that a partition gets its records in order and a
 * request that is made again adds nothing. Calls that come while a request is under way share the next.
 */
export class KafkaProducer {
  private readonly link: KafkaLink;
  private readonly turns = new Map<string, number>();
  /** Partitions of each topic, and which topics were ever seen. */
  private readonly counts = new Map<string, number>();
  private readonly seen = new Set<string>();
  private pending: Call[] = [];
  private running: Promise<void> | null = null;
  private cluster: KafkaCluster | null = null;
  private producer: Producer | null = null;
  /** Changes when a round gives up: what is left of it must send nothing any more. */
  private round = 0;

  constructor(private readonly client: KafkaClient) {
    this.link = new KafkaLink(client);
  }

  append(records: readonly LogRecord[]): Promise<void> {
    let bytes = 0;
    for (const record of records) {
      const size = bytesOf(record);
      bytes += sizeInBatch(record);
      if (size > MAX_RECORD_BYTES) {
        const message = `A record of ${record.topic} is larger than ${MAX_RECORD_BYTES} bytes.`;
        return Promise.reject(new RecordRefused(record, message));
      }
    }
    return new Promise((resolve, reject) => {
      this.pending.push({ records, bytes, resolve, reject, refusal: null });
      this.running ??= this.run();
    });
  }

  /** Resolves when every append made so far has ended. */
  async ended(): Promise<void> {
    while (this.running) await this.running;
  }

  private async run(): Promise<void> {
    // Calls of the same moment go together.
    await Promise.resolve();
    while (this.pending.length > 0) {
      const calls = this.take();
      try {
        await this.send(calls, this.round);
        for (const call of calls) {
          if (call.refusal) call.reject(call.refusal);
          else call.resolve();
        }
      } catch (error) {
        // Part of it may yet arrive, as repeats: a new producer id keeps that apart from what is appended next.
        this.round++;
        this.producer = null;
        this.counts.clear();
        this.disconnect();
        const away = error instanceof EngineUnavailable ? error : new EngineUnavailable('event log', error);
        // Those that wait behind them have waited as long, and would wait for the same.
        for (const call of [...calls, ...this.pending.splice(0)]) call.reject(call.refusal ?? away);
      }
    }
    // In the same breath as the last look: an append made a moment later must find that nobody is left to take it.
    this.running = null;
  }

  private take(): Call[] {
    let bytes = 0;
    const end = this.pending.findIndex((call, index) => {
      bytes += call.bytes;
      return index > 0 && bytes > MAX_ROUND_BYTES;
    });
    return this.pending.splice(0, end < 0 ? this.pending.length : end);
  }

  /** Gives up when nothing moves for 10 s, however much there is to send. */
  private async send(calls: readonly Call[], round: number): Promise<void> {
    await this.checkTopics(calls);
    for (const wave of this.waves(calls.filter((call) => !call.refusal))) {
      const deadline = Date.now() + GIVE_UP_MS;
      await before(deadline, this.deliver(wave, round, deadline));
    }
  }

  /** Refuses the calls with records of topics that are not there, before anything of them is sent. */
  private async checkTopics(calls: readonly Call[]): Promise<void> {
    for (const call of calls) {
      for (const record of call.records) {
        if (call.refusal || this.counts.has(record.topic)) continue;
        const topic = this.client.wire(record.topic);
        try {
          const count = await this.link.run([topic], async (cluster) => partitionsOf(cluster, [topic]).length);
          this.counts.set(record.topic, count);
          this.seen.add(record.topic);
        } catch (error) {
          // A topic that was there comes back with its broker; refusing would put its records aside for good.
          if (!(error instanceof NoSuchTopic) || this.seen.has(record.topic)) throw error;
          call.refusal = new RecordRefused(record, `There is no topic ${record.topic}.`, { cause: error });
        }
      }
    }
  }

  /** At most one batch per partition in each wave; a partition's batches follow one another. */
  private waves(calls: readonly Call[]): Chunk[][] {
    const waves: Chunk[][] = [];
    const last = new Map<string, { wave: number; bytes: number; items: Item[] }>();
    for (const call of calls) {
      for (const record of call.records) {
        const place = { topic: this.client.wire(record.topic), partition: this.place(record) };
        const bytes = sizeInBatch(record);
        let open = last.get(idOf(place));
        if (!open || open.bytes + bytes > MAX_CHUNK_BYTES) {
          open = { wave: open ? open.wave + 1 : 0, bytes: 0, items: [] };
          last.set(idOf(place), open);
          (waves[open.wave] ??= []).push({ ...place, items: open.items, sent: false });
        }
        open.items.push({ record, call });
        open.bytes += bytes;
      }
    }
    return waves;
  }

  private place(record: LogRecord): number {
    const count = this.counts.get(record.topic) ?? 1;
    if (record.key !== null) return partitionOf(record.key, count);
    // Records without a key go round, from anywhere, so that restarts do not fill the first partition.
    const turn = (this.turns.get(record.topic) ?? randomInt(1_000)) + 1;
    this.turns.set(record.topic, turn);
    return turn % count;
  }

  /** Sends the chunks until all are acknowledged; one that is refused falls apart until the record at fault is found. */
  private async deliver(wave: readonly Chunk[], round: number, deadline: number): Promise<void> {
    const chunks = wave.map(withoutRefused).filter((chunk) => !chunk.sent && chunk.items.length > 0);
    for (let pause = FIRST_PAUSE_MS; chunks.some((chunk) => !chunk.sent); pause = Math.min(pause * 2, LAST_PAUSE_MS)) {
      try {
        await this.attempt(chunks, round);
      } catch (error) {
        const type = errorType(error);
        if (REFUSALS.has(type)) {
          await this.split(chunks, error, round, deadline);
          return;
        }
        if (Date.now() + pause >= deadline || round !== this.round) throw error;
        if (LOST_COUNT.has(type)) this.producer = null;
        else this.disconnect();
        await delay(pause);
      }
    }
  }

  private async split(chunks: readonly Chunk[], error: unknown, round: number, deadline: number): Promise<void> {
    const [only] = chunks;
    if (chunks.length > 1) {
      for (const chunk of chunks) await this.deliver([chunk], round, deadline);
    } else if (only && only.items.length > 1) {
      for (const item of only.items) await this.deliver([{ ...only, items: [item] }], round, deadline);
    } else {
      for (const { record, call } of only?.items ?? []) {
        const message = `The broker refused a record of ${record.topic}: ${errorType(error)}.`;
        call.refusal ??= new RecordRefused(record, message, { cause: error });
      }
    }
  }

  /** One request to each leader. The same chunk has the same number each time, so that a repeat is recognised. */
  private async attempt(chunks: readonly Chunk[], round: number): Promise<void> {
    const open = chunks.filter((chunk) => !chunk.sent);
    const cluster = (this.cluster ??= this.client.cluster());
    await cluster.connect();
    await cluster.addMultipleTargetTopics([...new Set(open.map((chunk) => chunk.topic))]);
    const leaders = byLeader(cluster, open);
    const [anyNode = ''] = leaders.keys();
    // One for all leaders: what is sent again has to come from whoever sent it first.
    const producer = this.producer ?? (await newProducer(await cluster.findBroker({ nodeId: anyNode })));
    if (round !== this.round) throw new Error('Given up.');
    this.producer = producer;
    const answers = await Promise.allSettled(
      [...leaders].map(async ([nodeId, led]) => {
        const broker = await cluster.findBroker({ nodeId });
        await this.produce(broker, producer, led, round);
      }),
    );
    // A refusal is only looked into once everything else has gone.
    const failures = answers.flatMap((answer): unknown[] => (answer.status === 'rejected' ? [answer.reason] : []));
    if (failures.length > 0) throw failures.find((error) => !REFUSALS.has(errorType(error))) ?? failures[0];
  }

  private async produce(
    broker: KafkaBroker,
    producer: Producer,
    chunks: readonly Chunk[],
    round: number,
  ): Promise<void> {
    const { id, epoch, sequences } = producer;
    if (round !== this.round) throw new Error('Given up.');
    const topicData = byTopic(chunks, (chunk) => ({
      partition: chunk.partition,
      firstSequence: sequences.get(idOf(chunk)) ?? 0,
      messages: chunk.items.map(({ record: { key, value, headers } }) => ({ key, value, headers: { ...headers } })),
    }));
    await broker.produce({
      topicData,
      producerId: id,
      producerEpoch: epoch,
      acks: ACKS_ALL,
      timeout: BROKER_TIMEOUT_MS,
    });
    for (const chunk of chunks) {
      chunk.sent = true;
      // 31 bits, then from the start again.
      sequences.set(idOf(chunk), ((sequences.get(idOf(chunk)) ?? 0) + chunk.items.length) & 0x7fffffff);
    }
  }

  private disconnect(): void {
    this.client.release(this.cluster);
    this.cluster = null;
  }
}

async function newProducer(broker: KafkaBroker): Promise<Producer> {
  const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: 60_000 });
  return { id: producerId, epoch: producerEpoch, sequences: new Map() };
}

/** A record refused earlier takes the later ones of its call with it: nothing may overtake it. */
const withoutRefused = (chunk: Chunk): Chunk =>
  chunk.items.some(({ call }) => call.refusal)
    ? { ...chunk, items: chunk.items.filter(({ call }) => !call.refusal) }
    : chunk;

function bytesOf({ key, value, headers }: LogRecord): number {
  let bytes = Buffer.byteLength(value) + (key === null ? 0 : Buffer.byteLength(key));
  for (const [name, text] of Object.entries(headers)) bytes += Buffer.byteLength(name) + Buffer.byteLength(text);
  return bytes;
}

const sizeInBatch = (record: LogRecord): number =>
  bytesOf(record) + RECORD_OVERHEAD_BYTES + Object.keys(record.headers).length * HEADER_OVERHEAD_BYTES;
