/**
 * The public state that events carry: allow-lists. What is not named here never leaves a service.
 * Money is in cents, instants are milliseconds since the epoch, versions start at 1.
 */
import { z } from 'zod';

const id = z.string().min(1).max(64);
const version = z.int().positive();
const instant = z.int().nonnegative();
const cents = z.int();

export const USER_ROLES = ['USER', 'ADMIN'] as const;
/** Languages that people are written to in: English, Brazilian Portuguese. */
export const LOCALES = ['EN', 'PT'] as const;
export const ORDER_STATUSES = ['PENDING', 'AWAITING_PAYMENT', 'PAID', 'PROCESSING', 'COMPLETED', 'CANCELED'] as const;
export const PAYMENT_METHODS = ['CREDIT_CARD', 'PIX', 'BOLETO', 'WALLET'] as const;
/** As the order sees its current attempt. WAITING_FOR_STOCK: asked for while PENDING, runs once the stock is reserved. */
export const PAYMENT_STATUSES = ['WAITING_FOR_STOCK', 'REQUESTED', 'COMPLETED', 'FAILED', 'REFUNDED'] as const;
/** As the balance subgraph keeps each attempt. VOIDED: ended by a cancel before any money moved. */
export const ATTEMPT_STATUSES = ['REQUESTED', 'COMPLETED', 'FAILED', 'VOIDED', 'REFUNDED'] as const;
export const RESERVATION_STATUSES = ['RESERVED', 'REJECTED', 'RELEASED', 'CONSUMED'] as const;
export const TRANSACTION_KINDS = ['DEPOSIT', 'TRANSFER', 'PAYMENT', 'REFUND'] as const;
export const ACCOUNT_KINDS = ['USER', 'TREASURY', 'SALES'] as const;

export type Role = (typeof USER_ROLES)[number];
export type Locale = (typeof LOCALES)[number];
export type OrderStatus = (typeof ORDER_STATUSES)[number];
export type PaymentMethod = (typeof PAYMENT_METHODS)[number];
export type TransactionKind = (typeof TRANSACTION_KINDS)[number];
export type AccountKind = (typeof ACCOUNT_KINDS)[number];

/** A deleted user keeps its row and version; name and e-mail are cleared to ''. */
export const userState = z.object({
  id,
  version,
  name: z.string(),
  email: z.string(),
  role: z.enum(USER_ROLES),
  /** Events from before there was a choice have none. */
  locale: z.enum(LOCALES).default('EN'),
  verified: z.boolean(),
  deleted: z.boolean(),
  createdAt: instant,
  updatedAt: instant,
});

/** `stock` is on hand, `reserved` the part of it promised to orders; what can still be ordered is the difference. */
export const productState = z.object({
  id,
  version,
  name: z.string(),
  description: z.string(),
  price: cents.nonnegative(),
  stock: z.int().nonnegative(),
  reserved: z.int().nonnegative(),
  deleted: z.boolean(),
  createdAt: instant,
  updatedAt: instant,
});

/** The stock held for one order; its id is the order's. */
export const reservationState = z.object({
  orderId: id,
  version,
  status: z.enum(RESERVATION_STATUSES),
  items: z.array(z.object({ productId: id, quantity: z.int().positive() })),
  reason: z.string().nullable(),
  updatedAt: instant,
});

export const orderItem = z.object({
  productId: id,
  name: z.string(),
  quantity: z.int().positive(),
  unitPrice: cents.nonnegative(),
});

export const orderPayment = z.object({
  paymentId: id,
  method: z.enum(PAYMENT_METHODS),
  accountId: id.nullable(),
  status: z.enum(PAYMENT_STATUSES),
  /** The provider's or the ledger's reference, once there is one. */
  reference: z.string().nullable(),
});

/** One entry per change of status and per failed payment; `version` is the order's after it. */
export const orderHistoryEntry = z.object({
  version,
  status: z.enum(ORDER_STATUSES),
  at: instant,
  reason: z.string().nullable(),
});

export const orderState = z.object({
  id,
  version,
  userId: id,
  status: z.enum(ORDER_STATUSES),
  items: z.array(orderItem).min(1),
  total: cents.nonnegative(),
  payment: orderPayment.nullable(),
  cancelReason: z.string().nullable(),
  history: z.array(orderHistoryEntry).min(1),
  deleted: z.boolean(),
  createdAt: instant,
  updatedAt: instant,
});

export const paymentAttempt = z.object({
  paymentId: id,
  method: z.enum(PAYMENT_METHODS),
  accountId: id.nullable(),
  amount: cents.nonnegative(),
  status: z.enum(ATTEMPT_STATUSES),
  reference: z.string().nullable(),
  reason: z.string().nullable(),
});

/** Every payment attempt of one order; its id is the order's. */
export const paymentsState = z.object({
  orderId: id,
  version,
  attempts: z.array(paymentAttempt).min(1),
  updatedAt: instant,
});

export const accountState = z.object({
  id,
  version,
  /** Null for system accounts. */
  userId: id.nullable(),
  kind: z.enum(ACCOUNT_KINDS),
  balance: cents,
  createdAt: instant,
  updatedAt: instant,
});

export const transactionState = z.object({
  id,
  kind: z.enum(TRANSACTION_KINDS),
  fromAccountId: id,
  toAccountId: id,
  amount: cents.positive(),
  createdAt: instant,
});

export type UserState = z.infer<typeof userState>;
export type ProductState = z.infer<typeof productState>;
export type ReservationState = z.infer<typeof reservationState>;
export type OrderItem = z.infer<typeof orderItem>;
export type OrderPayment = z.infer<typeof orderPayment>;
export type OrderHistoryEntry = z.infer<typeof orderHistoryEntry>;
export type OrderState = z.infer<typeof orderState>;
export type PaymentAttempt = z.infer<typeof paymentAttempt>;
export type PaymentsState = z.infer<typeof paymentsState>;
export type AccountState = z.infer<typeof accountState>;
export type TransactionState = z.infer<typeof transactionState>;
