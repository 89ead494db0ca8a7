import { TOPICS, type Topic } from '../../shared/events/catalogue.js';
import { TIMELINE_GROUP, VIEW_TOPICS, VIEWS_GROUP } from '../../subgraphs/query/views.js';
import type { ProcessName } from '../processes.js';

/** A group that reads the log. */
export interface ConsumerSpec {
  readonly group: string;
  readonly topics: readonly Topic[];
  /** Where it runs. */
  readonly process: ProcessName;
}

const spec = (process: ProcessName, group: string, ...topics: readonly Topic[]): ConsumerSpec => ({
  group,
  topics,
  process,
});

/** Every group there is, so that one that never came is missed; a test compares it with what a running system has. */
export const CONSUMERS: readonly ConsumerSpec[] = [
  spec('user-worker', 'user.orders', 'orders'),
  spec('user-worker', 'user.accounts', 'accounts'),
  spec('user-worker', 'user.mail', 'users', 'orders'),
  spec('product-worker', 'product.reservations', 'orders'),
  spec('order-worker', 'order.stock', 'stock'),
  spec('order-worker', 'order.payments', 'payments'),
  spec('order-worker', 'order.catalogue', 'products'),
  spec('order-worker', 'order.users', 'users'),
  spec('order-worker', 'order.accounts', 'accounts'),
  spec('balance-worker', 'balance.payments', 'orders'),
  spec('balance-worker', 'balance.users', 'users'),
  spec('projector', VIEWS_GROUP, ...VIEW_TOPICS),
  spec('projector', TIMELINE_GROUP, ...(Object.keys(TOPICS) as Topic[])),
];
