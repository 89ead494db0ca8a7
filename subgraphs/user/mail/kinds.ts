/** Which mail an event leads to. Pure. */
import type { EventOf } from '../../../shared/reactions/reaction.js';
import type { OrderState } from '../../../shared/events/states.js';

export const MAIL_KINDS = [
  'VERIFICATION',
  'ORDER_CONFIRMATION',
  'PAYMENT_RECEIPT',
  'REMINDER',
  'CANCELLATION',
  'EXPIRY',
] as const;
export type MailKind = (typeof MAIL_KINDS)[number];

/** The events that somebody is written to about. */
export const MAILED = [
  'user.verification_requested',
  'order.awaiting_payment',
  'order.paid',
  'order.payment_reminder',
  'order.canceled',
] as const;
export type MailedEvent = EventOf<(typeof MAILED)[number]>;

/** Cancel reasons of orders that nobody but the system canceled, as the order subgraph spells them. */
export const PAYMENT_EXPIRED = 'PAYMENT_EXPIRED';
export const INSUFFICIENT_STOCK = 'INSUFFICIENT_STOCK';

export interface Occasion {
  readonly kind: MailKind;
  readonly userId: string;
  readonly orderId: string | null;
  /** What of the event the mail is made of: nothing about the user. */
  readonly data: MailData;
}

export interface MailData {
  readonly verification?: { readonly id: string; readonly expiresAt: number };
  readonly order?: OrderState;
  readonly reminder?: { readonly number: number; readonly expiresAt: number | null };
}

export function occasionOf(event: MailedEvent): Occasion {
  if (event.type === 'user.verification_requested') {
    const { user, verification } = event.data;
    return { kind: 'VERIFICATION', userId: user.id, orderId: null, data: { verification } };
  }
  const { order } = event.data;
  const { id: orderId, userId } = order;
  // Whoever cancels says why in words of their own, these too; somebody who has paid is told what comes back.
  const expired = order.cancelReason === PAYMENT_EXPIRED && order.payment?.status !== 'COMPLETED';
  switch (event.type) {
    case 'order.awaiting_payment':
      return { kind: 'ORDER_CONFIRMATION', userId, orderId, data: { order } };
    case 'order.paid':
      return { kind: 'PAYMENT_RECEIPT', userId, orderId, data: { order } };
    case 'order.payment_reminder':
      return { kind: 'REMINDER', userId, orderId, data: { order, reminder: event.data.reminder } };
    case 'order.canceled':
      return { kind: expired ? 'EXPIRY' : 'CANCELLATION', userId, orderId, data: { order } };
  }
}
