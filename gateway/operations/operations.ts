import accounts from './accounts.graphql';
import balanceChanged from './balance-changed.graphql';
import cancelOrder from './cancel-order.graphql';
import createOrder from './create-order.graphql';
import deposit from './deposit.graphql';
import getOrder from './get-order.graphql';
import listOrders from './list-orders.graphql';
import listProducts from './list-products.graphql';
import orderStatusChanged from './order-status-changed.graphql';
import payOrder from './pay-order.graphql';
import stockChanged from './stock-changed.graphql';
import timeline from './timeline.graphql';
import transfer from './transfer.graphql';

/** An operation ready to be sent, with variables to start from. */
export interface ReadyOperation {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** Accounts of the demo data, under the ids they have in the Full Cycle "Wallet Core". */
const EVA = 'd6a41403-bbd0-11ee-8a24-0242ac120003';
const FRANK = 'd6a41504-bbd0-11ee-8a24-0242ac120003';

/** Of the demo data as well: the iPhone, and whoever works without a token. */
const IPHONE = '0190a000-0001-7000-8000-000000000001';
const DEMO_ADMIN = '0190a000-0000-7000-8000-000000000001';
const ORDER_ID = 'an id from CreateOrder or ListOrders';

/** What GraphiQL opens with, a tab each, in the order in which one would try them. */
export const OPERATIONS: readonly ReadyOperation[] = [
  { query: listProducts },
  { query: createOrder, variables: { productId: IPHONE, quantity: 1 } },
  { query: orderStatusChanged, variables: { userId: DEMO_ADMIN } },
  { query: payOrder, variables: { id: ORDER_ID, method: 'PIX' } },
  { query: cancelOrder, variables: { id: ORDER_ID, reason: 'Changed my mind' } },
  { query: getOrder, variables: { id: ORDER_ID } },
  { query: listOrders, variables: { filter: {} } },
  { query: timeline, variables: { aggregateId: ORDER_ID } },
  { query: accounts, variables: { eva: EVA, frank: FRANK } },
  { query: deposit, variables: { accountId: EVA, amount: '100.00' } },
  { query: transfer, variables: { from: EVA, to: FRANK, amount: '25.00' } },
  { query: balanceChanged, variables: { accountId: EVA } },
  { query: stockChanged, variables: { productId: IPHONE } },
];
