import { randomUUID } from 'node:crypto';
import type { CommandContext } from '../shared/commands/commands.js';
import type { DocumentStore } from '../shared/document-store/port.js';
import { AppError } from '../shared/errors/errors.js';
import type { OrderState } from '../shared/events/states.js';
import type { Identity } from '../shared/identity/identity.js';
import type { Logger } from '../shared/observability/logger.js';
import type { Config } from '../shared/config/config.js';
import type { Subgraphs } from './system.js';

/** Who everybody without a token is in demo mode. */
export const DEMO_ADMIN_ID = '0190a000-0000-7000-8000-000000000001';
export const DEMO_ADMIN: Identity = { role: 'ADMIN', userId: DEMO_ADMIN_ID };

interface Person {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role?: 'ADMIN';
}

const person = (number: number, name: string, email: string): Person => ({ id: demoId(1, number), name, email });

/** Fixed, so that the README's examples work as printed. Old for a UUIDv7: nothing waits for them. */
function demoId(kind: number, number: number): string {
  return `0190a000-000${kind - 1}-7000-8000-${String(number).padStart(12, '0')}`;
}

export const DEMO_USERS: readonly Person[] = [
  { id: DEMO_ADMIN_ID, name: 'Demo Administrator', email: 'admin@tributary.example', role: 'ADMIN' },
  person(2, 'João Silva', 'joao.silva@tributary.example'),
  person(3, 'Maria Oliveira', 'maria.oliveira@tributary.example'),
  person(4, 'Eva Souza', 'eva@tributary.example'),
  person(5, 'Frank Lima', 'frank@tributary.example'),
  person(6, 'Ana Conceição', 'ana.conceicao@tributary.example'),
];

/** Full Cycle's two accounts, under the ids its own services use. Cents. */
export const DEMO_ACCOUNTS = [
  { id: 'd6a41403-bbd0-11ee-8a24-0242ac120003', userId: demoId(1, 4), balance: 80_000 },
  { id: 'd6a41504-bbd0-11ee-8a24-0242ac120003', userId: demoId(1, 5), balance: 120_000 },
] as const;

const product = (number: number, name: string, price: number, stock: number, description: string) => ({
  id: demoId(2, number),
  name,
  price,
  stock,
  description,
});

/** Prices in cents. */
export const DEMO_PRODUCTS = [
  product(1, 'iPhone 15', 599_999, 10, '128 GB, black.'),
  product(2, 'Galaxy S24', 449_900, 15, '256 GB, graphite.'),
  product(3, 'MacBook Air M3', 1_149_900, 5, '13 inches, 16 GB of memory.'),
  product(4, 'Kindle Paperwhite', 64_900, 40, 'Reads in the sun.'),
  product(5, 'AirPods Pro', 189_900, 25, 'With noise cancelling.'),
  product(6, 'USB-C Cable 2 m', 4_990, 500, 'Braided, 100 W.'),
  product(7, 'USB-C Charger 65 W', 19_900, 120, 'Two ports.'),
  product(8, 'Mechanical Keyboard', 39_900, 30, 'Brown switches, ABNT2 layout.'),
  product(9, 'Wireless Mouse', 12_900, 80, 'Three buttons, one wheel.'),
  product(10, '27-inch Monitor', 159_900, 12, '4K, USB-C.'),
  product(11, 'Webcam Full HD', 27_900, 45, 'With a shutter.'),
  product(12, 'Desk Lamp', 15_900, 60, 'Warm to cold light.'),
  product(13, 'Standing Desk', 219_900, 8, '140 by 70 cm.'),
  product(14, 'Office Chair', 129_900, 9, 'Mesh back.'),
  product(15, 'Notebook, Dotted', 3_990, 300, '160 pages.'),
  product(16, 'Fountain Pen', 24_900, 35, 'Medium nib.'),
  product(17, 'Backpack 20 L', 29_900, 50, 'Rain cover included.'),
  product(18, 'Water Bottle', 8_990, 150, 'Steel, 750 ml.'),
  product(19, 'Coffee Grinder', 34_900, 20, 'Burrs, 40 settings.'),
  product(20, 'Espresso Machine', 249_900, 6, '15 bar.'),
  product(21, 'Café em Grãos 1 kg', 7_990, 200, 'From Minas Gerais.'),
  product(22, 'Bluetooth Speaker', 44_900, 33, 'Floats.'),
  product(23, 'Noise-Cancelling Headphones', 219_900, 18, '30 hours.'),
  product(24, 'Smart Watch', 174_900, 22, 'Seven days per charge.'),
  product(25, 'Signed Print, Limited', 99_900, 0, 'Sold out.'),
] as const;

/** Good in demo mode only, where whoever shows no token is an administrator anyway. */
export const DEMO_PASSWORDS: ReadonlyMap<string, string> = new Map([
  [DEMO_ADMIN_ID, 'demo-admin'],
  [demoId(1, 2), 'demo-joao'],
]);

const MARKER = { collection: 'settings', id: 'demo-data' };

type WriteSide = Pick<Subgraphs, 'user' | 'product' | 'order' | 'balance'>;

export interface DemoOptions {
  /** Accounts of a foreign Wallet Core are not ours to make. */
  readonly walletCore: Config['walletCore'];
  readonly auth: Config['auth'];
  /** How long a step waits for what other services have yet to hear of, in milliseconds; 10 s when absent. */
  readonly patienceMs?: number;
}

/**
 * Loads the demo data through the system's own commands, so that rows, events and views agree; workers must run, here or
 * elsewhere. Done once, as a marker among the documents says; ended half-way, the next call goes on where it stopped,
 * since every step has an id or a key of its own. Answers whether there was anything left to do.
 */
export async function loadDemoData(
  { user, product, order, balance }: WriteSide,
  documents: DocumentStore,
  log: Logger,
  { walletCore, auth, patienceMs = 10_000 }: DemoOptions,
): Promise<boolean> {
  const passwords = auth.mode === 'demo' ? DEMO_PASSWORDS : new Map<string, string>();
  const context: CommandContext = {
    identity: DEMO_ADMIN,
    requestId: `demo-${randomUUID()}`,
    traceparent: null,
    log,
  };
  await documents.ensureCollections([{ name: MARKER.collection, indexes: [] }]);
  if ((await documents.get(MARKER.collection, MARKER.id)) !== null) {
    // Loaded in another mode, or by a version that had none and asked nobody to confirm an address.
    await user.commands.vouchFor(context, DEMO_USERS);
    await user.commands.giveDemoPasswords(passwords);
    return false;
  }
  const key = (step: string) => ({ idempotencyKey: `demo:${step}` });
  const repeat: Repeat = (code, step) => repeatWhile(code, patienceMs, step);

  for (const { id, name, email, role } of DEMO_USERS) {
    await user.commands.create(context, { name, email, role, ...key(id) }, id);
  }
  // Nobody reads mail at their addresses.
  await user.commands.vouchFor(context, DEMO_USERS);
  // Meanwhile: hashing takes its time, and no thread that anybody else needs. Told of at the end, should it fail.
  const hashed = Promise.allSettled([user.commands.giveDemoPasswords(passwords)]);
  for (const { id, ...input } of DEMO_PRODUCTS) {
    await product.commands.create(context, { ...input, ...key(id) }, id);
  }
  for (const { id, userId, balance: amount } of walletCore === 'own' ? DEMO_ACCOUNTS : []) {
    await repeat('NOT_FOUND', () => balance.commands.createAccount(context, { userId, ...key(id) }, id));
    await balance.commands.deposit(context, { accountId: id, amount, ...key(`${id}:deposit`) });
  }
  await loadOrders(order.commands, context, key, repeat);
  for (const outcome of await hashed) if (outcome.status === 'rejected') throw outcome.reason;

  await documents.putIfNewer(MARKER.collection, [{ id: MARKER.id, version: 1, doc: { loaded: true } }]);
  log.info({ users: DEMO_USERS.length, products: DEMO_PRODUCTS.length }, 'demo data loaded');
  return true;
}

/** One order waits for its payment, one is paid, one is completed, one is canceled. */
async function loadOrders(
  commands: WriteSide['order']['commands'],
  context: CommandContext,
  key: (step: string) => { idempotencyKey: string },
  repeat: Repeat,
): Promise<void> {
  const [joao, maria, ana] = [demoId(1, 2), demoId(1, 3), demoId(1, 6)];
  // Others have not yet heard of its customer or its products.
  const create = (step: string, userId: string, ...items: [number: number, quantity: number][]) =>
    repeat('NOT_FOUND', () =>
      commands.create(context, {
        userId,
        items: items.map(([number, quantity]) => ({ productId: demoId(2, number), quantity })),
        ...key(step),
      }),
    );
  const pay = ({ id }: OrderState, step: string) => commands.pay(context, { id, method: 'PIX', ...key(step) });
  // The saga has not yet brought it to where the step is allowed.
  const move = ({ id }: OrderState, status: 'PROCESSING' | 'COMPLETED', step: string) =>
    repeat('INVALID_STATE', () => commands.updateStatus(context, { id, status, ...key(step) }));

  await create('order:waiting', joao, [4, 1], [15, 2]);
  await pay(await create('order:paid', maria, [8, 1], [9, 1]), 'order:paid:pay');
  const completed = await create('order:completed', joao, [6, 3]);
  await pay(completed, 'order:completed:pay');
  await move(completed, 'PROCESSING', 'order:completed:processing');
  await move(completed, 'COMPLETED', 'order:completed:completed');
  const canceled = await create('order:canceled', ana, [20, 1]);
  await commands.cancel(context, { id: canceled.id, reason: 'Ordered by mistake', ...key('order:canceled:cancel') });
}

type Repeat = <T>(code: AppError['code'], step: () => Promise<T>) => Promise<T>;

const PAUSE_MS = 10;

async function repeatWhile<T>(code: AppError['code'], patienceMs: number, step: () => Promise<T>): Promise<T> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== code || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
