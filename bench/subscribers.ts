/**
 * `npm run bench:gateway -- --subscribers`: many WebSocket subscribers of one order's stream, behind our gateway and on a
 * bare graphql-ws server that broadcasts the same, in turns. The load is this process, every server one of its own.
 */
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';
import { freePorts } from '../tests/ports.js';
import { startProcess, type AppProcess } from '../tests/process.js';
import { quantile } from './client.js';
import { median, ms, perSecond, ratio, type Report } from './report.js';

const SUBSCRIBERS = Number(process.env['BENCH_SUBSCRIBERS'] ?? 5_000);
const ROUNDS = 5;
/** Published at once, to see how fast they are delivered. */
const BURST = 10;
/** Published one by one, to see how long one takes to reach everybody. */
const SINGLE = 10;
const CONNECTING_AT_ONCE = 100;

const SUBSCRIBE = JSON.stringify({
  id: '0190a000-0000-7000-8000-00000000abcd',
  type: 'subscribe',
  payload: {
    query: `subscription { orderStatusChanged(orderId: "o") {
      kind cursor at order { id version status total items { productId name quantity unitPrice } } } }`,
  },
});

interface Server {
  readonly name: string;
  readonly port: number;
  /** Where events are published. */
  readonly publisher: number;
  readonly pid: number;
}

interface Round {
  /** Messages a second, over all subscribers. */
  readonly rate: number;
  /** Microseconds of processor time the server took for a message. */
  readonly cpuMicros: number;
}

/** Measures both and adds the figures; goals stand beside them. */
export async function benchSubscribers(report: Report): Promise<void> {
  const [source = 0, ours = 0, bare = 0] = await freePorts(3);
  const started: AppProcess[] = [];
  const start = async (name: string, args: readonly string[], port: number, publisher: number): Promise<Server> => {
    const one = startProcess(process.execPath, ['ops/run.mjs', 'bench/subscribers-server.ts', ...args], {
      NODE_ENV: 'production',
    });
    started.push(one);
    await one.ready;
    return { name, port, publisher, pid: childOf(one.pid) };
  };
  const subscribers: Subscribers[] = [];
  try {
    await start('source', ['source', String(source)], source, source);
    const servers = [
      await start('our gateway', ['ours', String(ours), String(source)], ours, source),
      await start('bare graphql-ws', ['bare', String(bare)], bare, bare),
    ];
    for (const server of servers) subscribers.push(await Subscribers.connect(server));
    const rounds = new Map<Subscribers, Round[]>(subscribers.map((one) => [one, []]));
    for (const one of subscribers) await one.burst();
    for (let round = 0; round < ROUNDS; round++) {
      for (const one of subscribers) rounds.get(one)?.push(await one.burst());
    }
    for (const one of subscribers) await one.singles();
    const medians = subscribers.map((one) => {
      const all = rounds.get(one) ?? [];
      const rate = median(all.map((round) => round.rate));
      const cpuMicros = median(all.map((round) => round.cpuMicros));
      const { name } = one.server;
      report.add(
        `${SUBSCRIBERS} subscribers, ${name}: delivered`,
        `${perSecond(rate)}, ${cpuMicros.toFixed(1)} µs of processor`,
      );
      report.add(`${SUBSCRIBERS} subscribers, ${name}: delay p50, p99`, one.delays());
      report.add(`${SUBSCRIBERS} subscribers, ${name}: memory of each`, `${(one.bytes / 1_024).toFixed(1)} KiB`);
      return { rate, cpuMicros };
    });
    const [gateway, other] = medians;
    if (gateway === undefined || other === undefined) throw new Error('Both are measured.');
    const byCpu = `${ratio(other.cpuMicros / gateway.cpuMicros)} by processor time`;
    report.add('subscribers: ours to bare graphql-ws', `${ratio(gateway.rate / other.rate)}, ${byCpu}`, ratio(0.8));
  } finally {
    for (const one of subscribers) one.close();
    await Promise.all(started.map((one) => one.end('SIGTERM')));
  }
}

/** All subscribers of one server. */
class Subscribers {
  /** What the server took for each of them, in bytes. */
  bytes = 0;
  private readonly sockets: WebSocket[] = [];
  private readonly latencies: number[] = [];
  private received = 0;
  private timed = false;
  private expected = 0;
  private done: () => void = () => undefined;

  private constructor(readonly server: Server) {}

  static async connect(server: Server): Promise<Subscribers> {
    const all = new Subscribers(server);
    // The first one makes what is made once.
    await all.add();
    const before = memoryOf(server.pid);
    for (let open = 1; open < SUBSCRIBERS; open += CONNECTING_AT_ONCE) {
      const count = Math.min(CONNECTING_AT_ONCE, SUBSCRIBERS - open);
      await Promise.all(Array.from({ length: count }, () => all.add()));
    }
    // Behind the gateway they are one upstream operation from the next event on.
    await all.publish(1);
    await all.publish(1);
    all.bytes = (memoryOf(server.pid) - before) / (SUBSCRIBERS - 1);
    return all;
  }

  async burst(): Promise<Round> {
    const cpuBefore = cpuMsOf(this.server.pid);
    const begun = performance.now();
    await this.publish(BURST);
    const messages = BURST * SUBSCRIBERS;
    const rate = (messages * 1_000) / (performance.now() - begun);
    return { rate, cpuMicros: ((cpuMsOf(this.server.pid) - cpuBefore) * 1_000) / messages };
  }

  async singles(): Promise<void> {
    this.timed = true;
    for (let i = 0; i < SINGLE; i++) await this.publish(1);
    this.timed = false;
  }

  delays(): string {
    return `${ms(quantile(this.latencies, 0.5))}, ${ms(quantile(this.latencies, 0.99))}`;
  }

  close(): void {
    for (const socket of this.sockets) socket.terminate();
  }

  /** Resolves when everybody has all of them. */
  private async publish(count: number): Promise<void> {
    this.received = 0;
    this.expected = count * this.sockets.length;
    const all = new Promise<void>((resolve) => (this.done = resolve));
    await fetch(`http://127.0.0.1:${this.server.publisher}/publish?count=${count}`, { method: 'POST' });
    await all;
  }

  /** Resolves with its first event. */
  private add(): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.server.port}/graphql`, 'graphql-transport-ws');
    this.sockets.push(socket);
    return new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', (code, reason) => reject(new Error(`closed: ${code} ${reason.toString()}`)));
      socket.once('open', () => socket.send('{"type":"connection_init"}'));
      let first = true;
      socket.on('message', (data: Buffer) => {
        const text = data.toString('latin1');
        if (text.includes('"connection_ack"')) socket.send(SUBSCRIBE);
        if (!text.includes('"next"')) return;
        if (text.includes('"errors"')) reject(new Error(text));
        if (first) resolve();
        else this.count(text);
        first = false;
      });
    });
  }

  private count(text: string): void {
    if (this.timed) {
      const at = Number(text.slice(text.indexOf('"at":') + 5).split(',')[0]);
      this.latencies.push(performance.timeOrigin + performance.now() - at);
    }
    this.received++;
    if (this.received === this.expected) this.done();
  }
}

/** The process that ops/run.mjs started; the compiler it used is a child of its own. */
function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  const child = children.find((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8').includes('subscribers-server'));
  if (child === undefined) throw new Error(`Process ${pid} has not started what it should.`);
  return child;
}

/** Resident, in bytes. */
const memoryOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1_024;

/** Processor time so far, from ticks of ten milliseconds. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
