import { expect } from '@jest/globals';
import { newId } from '../shared/ids/ids.js';
import { query, type AuditInput } from './crash-audit.js';
import { newTraffic, sendUntilAnswered, type Traffic, type World } from './crash-load.js';
import {
  countOf,
  DEPOSIT_CENTS,
  isBusiness,
  prepareWorld,
  reckon,
  startLoad,
  stockOf,
  subscribe,
  type Subscribers,
} from './crash-world.js';
import { FLEET_SECRET, startFleet, type Fleet } from './fleet.js';
import { buildApp, startProcess, type AppProcess, type BuiltApp, type Exit } from './process.js';
import { until } from './until.js';

/** Commands accepted before a fault, so that it meets a system at work, and after it. */
const COMMANDS = 40;

/** Enough to meet every fault in the middle of something, few enough to reckon with soon afterwards. */
const CLIENTS = 6;

/** How long a fault may keep the system from its work, in milliseconds; the longest is the one that pauses Kafka. */
const RECOVERY_LIMIT_MS = 120_000;

/** Two of every worker and of one API: what one of them loses the other has to take over. */
const COPIES = {
  'order-api': 2,
  'user-worker': 2,
  'product-worker': 2,
  'order-worker': 2,
  'balance-worker': 2,
  projector: 2,
} as const;

const CREATE = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { order { id } } }`;
const STATUS = `query ($id: ID!) { order(id: $id) { status } }`;

export interface FaultReport {
  readonly name: string;
  readonly accepted: number;
  readonly lost: number;
  readonly duplicated: number;
  /** From the end of the fault until orders of every partition have been through the whole system again. */
  readonly recoveryMs: number;
}

/** A fleet on real engines with customers and subscribers, to which things happen. */
export class FaultBench {
  private constructor(
    readonly fleet: Fleet,
    private readonly app: BuiltApp,
    private readonly settings: Readonly<Record<string, string>>,
    private readonly world: World,
    private readonly traffic: Traffic,
    private readonly subscribers: Subscribers,
  ) {}

  static async start(urls: Readonly<Record<string, string>>): Promise<FaultBench> {
    const app = buildApp();
    const settings = { ...urls, NAMESPACE: `faults-${newId().slice(-12)}` };
    const fleet = await startFleet({ app, settings, copies: COPIES });
    try {
      await fleet.ready();
      const url = `${fleet.gateway}/graphql`;
      const world = await prepareWorld(url);
      const traffic = newTraffic();
      return new FaultBench(fleet, app, settings, world, traffic, await subscribe(url, world, traffic));
    } catch (error) {
      await fleet.kill();
      app.remove();
      throw new Error(fleet.output(), { cause: error });
    }
  }

  get namespace(): string {
    return this.settings['NAMESPACE'] ?? '';
  }

  /** An order that exists, for whoever needs a key. */
  get anyOrder(): string {
    return this.traffic.accepted.orders[0] ?? '';
  }

  /**
   * Lets the fault happen under load, waits until the system has recovered, lets it work on, and then reckons: everything
   * accepted is in the views, nothing has happened twice, stock and money add up, every subscriber was told everything.
   */
  async survives(name: string, fault: () => Promise<void>): Promise<void> {
    const before = countOf(this.traffic.accepted);
    const { url, world, traffic } = this;
    const load = startLoad({ url, world, traffic, seed: seedOf(name), clients: CLIENTS });
    const more = (count: number): Promise<unknown> => {
      const goal = countOf(this.traffic.accepted) + count;
      return until(() => countOf(this.traffic.accepted) >= goal, { timeoutMs: RECOVERY_LIMIT_MS });
    };
    let recoveryMs: number;
    try {
      await more(COMMANDS);
      await fault();
      const over = performance.now();
      await this.everyPartitionWorks();
      recoveryMs = performance.now() - over;
      await more(COMMANDS);
    } finally {
      await load.stop();
    }
    const result = await reckon(this.auditInput());
    this.report({ name, accepted: countOf(this.traffic.accepted) - before, recoveryMs, ...result });
    expect(result.problems).toEqual([]);
    expect([...this.traffic.refused.keys()].filter((code) => !isBusiness(code))).toEqual([]);
    expect(this.traffic.staleReads).toEqual([]);
    await this.subscribers.haveBeenTold(result.orders);
  }

  /** Orders enough for every partition of every topic, each brought to the next state by other subgraphs. */
  async everyPartitionWorks(): Promise<void> {
    const [customer] = this.world.customers;
    const items = [{ productId: this.world.products[2], quantity: 1 }];
    const probe = async (): Promise<void> => {
      const input = { userId: customer?.userId, items, idempotencyKey: newId() };
      const made = await sendUntilAnswered<{ createOrder: { order: { id: string } } }>(this.url, CREATE, { input });
      if ('code' in made) throw new Error(`${made.code}: ${made.message}`);
      const { id } = made.data.createOrder.order;
      this.traffic.accepted.orders.push(id);
      const moved = async (): Promise<boolean> => {
        const { order } = await query<{ order: { status: string } }>(this.url, STATUS, { id });
        return order.status !== 'PENDING';
      };
      await until(moved, { timeoutMs: RECOVERY_LIMIT_MS, message: `order ${id} to move on` });
    };
    await Promise.all(Array.from({ length: 36 }, probe));
  }

  /** Runs a command of the image to its end and answers what it wrote. */
  async tributary(...args: readonly string[]): Promise<string> {
    const command = this.command(...args);
    const { code } = await command.exit;
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${command.output()}`);
    return command.output();
  }

  /**
   * Runs `projections rebuild` of all views to its end, and lets something happen when their new generations have just been
   * registered, so that it has everything still before it.
   */
  async rebuildsThrough(happening: () => Promise<void>): Promise<void> {
    const rebuild = this.command('projections', 'rebuild');
    let ended: Exit | undefined;
    void rebuild.exit.then((exit) => (ended = exit));
    try {
      await until(() => rebuild.output().includes('publish'), { message: () => `a rebuild:\n${rebuild.output()}` });
      await happening();
      const message = (): string => `the rebuild's end:\n${rebuild.output()}`;
      await until(() => ended, { timeoutMs: RECOVERY_LIMIT_MS, message });
    } finally {
      rebuild.child.kill('SIGKILL');
    }
    if (ended?.code !== 0) throw new Error(`The rebuild ended with ${ended?.code}:\n${rebuild.output()}`);
  }

  /** Every process ends by itself, and well. */
  async stop(): Promise<void> {
    await this.subscribers.stop();
    const exits = await this.fleet.stop();
    expect([...exits].filter(([, { code }]) => code !== 0)).toEqual([]);
  }

  /** Ends what is left, after whatever has failed: subscribers would go on coming back, and keep the tests from ending. */
  async dispose(): Promise<void> {
    await this.fleet.kill();
    await this.subscribers.stop();
    this.app.remove();
  }

  private command(...args: readonly string[]): AppProcess {
    return startProcess(process.execPath, [this.app.main, ...args], { LOG_LEVEL: 'warn', ...this.settings });
  }

  private get url(): string {
    return `${this.fleet.gateway}/graphql`;
  }

  private auditInput(): AuditInput {
    return {
      url: this.url,
      subgraphUrl: (name) => `${this.fleet.subgraph(name)}/graphql`,
      identitySecret: FLEET_SECRET,
      world: this.world,
      accepted: this.traffic.accepted,
      stock: stockOf(this.world),
      deposit: DEPOSIT_CENTS,
    };
  }

  private report({ name, accepted, lost, duplicated, recoveryMs }: FaultReport): void {
    const recovery = (recoveryMs / 1_000).toFixed(1);
    process.stdout.write(
      `${name}: ${accepted} accepted, ${lost} lost, ${duplicated} duplicated, recovered in ${recovery} s\n`,
    );
  }
}

/** Another one for every fault, the same in every run (FNV-1a). */
const seedOf = (name: string): number =>
  [...name].reduce((hash, letter) => Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 0x01000193), 0x811c9dc5) >>> 0;
