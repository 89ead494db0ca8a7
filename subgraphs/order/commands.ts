import type { CommandContext, Commands } from '../../shared/commands/commands.js';
import { expectVersion } from '../../shared/commands/version.js';
import { AppError, notFound, validationError } from '../../shared/errors/errors.js';
import type { OrderItem, OrderState } from '../../shared/events/states.js';
import { mayAccess, requireAccess, requireAdmin, requireUser } from '../../shared/identity/identity.js';
import { newId, parseId } from '../../shared/ids/ids.js';
import { formatAmount } from '../../shared/money/money.js';
import { parseInteger, parseText } from '../../shared/validation/text.js';
import { requireOwnAccounts, type WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import type {
  CancelOrderInput,
  CreateOrderInput,
  DeleteOrderInput,
  OrderItemInput,
  PayOrderInput,
  UpdateOrderStatusInput,
} from './generated/schema-types.js';
import type { OrderRequest } from './order.js';
import type { CatalogueEntry, KnownParties, Replicas } from './replicas.js';
import type { OrderStore } from './store.js';

const MAX_ITEMS = 100;
const MAX_QUANTITY = 10_000;
const MAX_REASON = 500;

const UNVERIFIED =
  'Confirm your e-mail address before you order: follow the link in the mail, or ask for another one with resendVerification.';

/** What people do with orders. All of it asks who is calling; see shared/commands for repeated calls. */
export interface OrderCommands {
  /**
   * `id` is for callers inside the system, demo data for one. Whoever confirms their address and orders at once is not
   * refused because the news is still on its way: it is waited for, up to two seconds.
   */
  create(context: CommandContext, input: CreateOrderInput, id?: string): Promise<OrderState>;
  pay(context: CommandContext, input: PayOrderInput): Promise<OrderState>;
  cancel(context: CommandContext, input: CancelOrderInput): Promise<OrderState>;
  updateStatus(context: CommandContext, input: UpdateOrderStatusInput): Promise<OrderState>;
  remove(context: CommandContext, input: DeleteOrderInput): Promise<OrderState>;
}

export interface OrderCommandDeps {
  readonly commands: Commands;
  readonly store: OrderStore;
  readonly replicas: Replicas;
  readonly now: () => number;
  readonly walletCore: WalletCoreMode;
  /** Whether customers have to confirm their e-mail address before they order. */
  readonly verifiedOrders: boolean;
}

type ChangeInput = Pick<DeleteOrderInput, 'id' | 'expectedVersion' | 'idempotencyKey'>;

/** An item of a valid input, before its price is looked up. */
interface Wanted {
  readonly productId: string;
  readonly quantity: number;
  /** Cents; the price the customer saw. */
  readonly expectedUnitPrice: number | null;
}

export function orderCommands(deps: OrderCommandDeps): OrderCommands {
  const { commands, store, replicas, now, walletCore, verifiedOrders } = deps;
  /** The part that all changes of an order share; `request` is asked with the order locked, once it is the caller's. */
  const change = async (
    context: CommandContext,
    mutation: string,
    input: ChangeInput,
    request: (order: OrderState) => OrderRequest,
  ): Promise<OrderState> => {
    requireUser(context.identity);
    const id = parseId(input.id);
    return commands.run(context, {
      mutation,
      input,
      work: (tx) =>
        store.update(
          tx,
          id,
          (order) => {
            if (order === null || order.deleted) throw notFound('order', id);
            requireAccess(context.identity, order.userId);
            expectVersion(order, input.expectedVersion);
            return request(order);
          },
          context.traceparent,
        ),
    });
  };

  return {
    async create(context, input, id = newId()) {
      const userId = parseCustomer(context, input);
      const wanted = parseItems(input.items);
      // Administrators order for anybody.
      const mustBeVerified = verifiedOrders && context.identity.role !== 'ADMIN';
      const parties = { userId, productIds: wanted.map(({ productId }) => productId) };
      let known: KnownParties | undefined;
      return commands.run(context, {
        mutation: 'createOrder',
        input,
        work: async (tx) => {
          known = await replicas.parties(tx, parties);
          const { products, customer } = known;
          if (customer === undefined) throw notFound('user', userId, 'userId');
          if (mustBeVerified && !customer.verified) throw new AppError('FORBIDDEN', UNVERIFIED);
          const items = wanted.map((item, index) => toItem(item, products.get(item.productId), index));
          return store.create(tx, { type: 'create', id, userId, items, at: now() }, context.traceparent);
        },
        wasEarly: async () => known !== undefined && replicas.waitForNews(known, parties, mustBeVerified),
      });
    },

    async pay(context, input) {
      requireUser(context.identity);
      parseId(input.id);
      const accountId = parseAccount(input);
      const owner = accountId === null ? null : await replicas.accountOwner(accountId);
      const attempt = { paymentId: newId(), method: input.method, accountId };
      return change(context, 'payOrder', input, (order) => {
        if (accountId !== null) {
          requireOwnAccounts(walletCore);
          if (owner === undefined) throw notFound('account', accountId, 'accountId');
          if (owner !== order.userId)
            throw validationError('accountId', 'The account must belong to the customer of the order.');
        }
        return { type: 'pay', attempt, at: now() };
      });
    },

    async cancel(context, input) {
      requireUser(context.identity);
      const given = parseText(input.reason ?? '', {
        field: 'reason',
        max: MAX_REASON,
        optional: true,
        multiline: true,
      });
      return change(context, 'cancelOrder', input, (order) => {
        const byCustomer = context.identity.userId === order.userId;
        const reason = given || (byCustomer ? 'Canceled by the customer' : 'Canceled by an administrator');
        return { type: 'cancel', reason, at: now() };
      });
    },

    async updateStatus(context, input) {
      requireAdmin(context.identity);
      const type = parseStep(input.status);
      return change(context, 'updateOrderStatus', input, () => ({ type, at: now() }));
    },

    remove: (context, input) => change(context, 'deleteOrder', input, () => ({ type: 'delete', at: now() })),
  };
}

/** Whose order it will be. */
function parseCustomer({ identity }: CommandContext, { userId }: CreateOrderInput): string {
  const caller = requireUser(identity);
  if (userId === null || userId === undefined) return caller.userId;
  const customer = parseId(userId, 'userId');
  if (mayAccess(identity, customer)) return customer;
  throw new AppError('FORBIDDEN', 'Only administrators may order for somebody else.', { field: 'userId' });
}

function parseItems(items: readonly OrderItemInput[]): Wanted[] {
  if (items.length === 0 || items.length > MAX_ITEMS) {
    throw validationError('items', `An order has 1 to ${MAX_ITEMS} items.`);
  }
  const seen = new Set<string>();
  return items.map(({ productId, quantity, expectedUnitPrice }, index) => {
    const at = `items.${index}`;
    const id = parseId(productId, `${at}.productId`);
    if (seen.has(id))
      throw validationError(`${at}.productId`, 'Each product is named once; raise its quantity instead.');
    seen.add(id);
    return {
      productId: id,
      quantity: parseInteger(quantity, { field: `${at}.quantity`, min: 1, max: MAX_QUANTITY }),
      expectedUnitPrice: expectedUnitPrice ?? null,
    };
  });
}

/** Name and price come from the catalogue, never from the client. */
function toItem(
  { productId, quantity, expectedUnitPrice }: Wanted,
  product: CatalogueEntry | undefined,
  index: number,
): OrderItem {
  if (product === undefined) throw notFound('product', productId, `items.${index}.productId`);
  const { name, price } = product;
  if (expectedUnitPrice !== null && expectedUnitPrice !== price) {
    throw new AppError('CONFLICT', `The price of ${name} is ${formatAmount(price)} by now.`, {
      field: `items.${index}.expectedUnitPrice`,
      details: { unitPrice: formatAmount(price) },
    });
  }
  return { productId, name, quantity, unitPrice: price };
}

function parseAccount({ method, accountId }: PayOrderInput): string | null {
  const given = accountId === null || accountId === undefined ? null : parseId(accountId, 'accountId');
  if (method === 'WALLET' && given === null)
    throw validationError('accountId', 'WALLET pays from an account; name it.');
  if (method !== 'WALLET' && given !== null)
    throw validationError('accountId', `${method} takes no account; only WALLET does.`);
  return given;
}

function parseStep(status: UpdateOrderStatusInput['status']): 'startProcessing' | 'complete' {
  if (status === 'PROCESSING') return 'startProcessing';
  if (status === 'COMPLETED') return 'complete';
  throw validationError('status', 'An order is moved to PROCESSING or COMPLETED; everything else follows by itself.');
}
