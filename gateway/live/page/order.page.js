/** What is known of the order, beside its events. */
import { html, money, spoken, timeOfDay } from './elements.page.js';

/** Fills a list of terms with what the order is. */
export function showOrder(list, order) {
  const facts = [
    ['Number', html('code', {}, order.id)],
    ['Customer', order.user?.name ?? 'unknown'],
    ['Placed', timeOfDay(order.createdAt)],
    ...order.items.map(({ name, quantity, subtotal }, index) => [
      index === 0 ? 'Items' : '',
      html('span', { class: 'item' }, `${quantity} × ${name}`, html('span', { class: 'amount' }, money(subtotal))),
    ]),
    ['Total', html('strong', { class: 'amount' }, money(order.total))],
    ['Payment', order.payment === null ? 'none yet' : `${order.payment.method}, ${words(order.payment.status)}`],
    ['Version', String(order.version)],
    ...(order.cancelReason === null ? [] : [['Canceled', order.cancelReason]]),
  ];
  list.replaceChildren(...facts.map(([term, value]) => html('div', {}, html('dt', {}, term), html('dd', {}, value))));
}

const words = (status) => spoken(status).toLowerCase();

const PAYABLE = new Set(['PENDING', 'AWAITING_PAYMENT']);
const CANCELABLE = new Set(['PENDING', 'AWAITING_PAYMENT', 'PAID']);
const UNDER_WAY = new Set(['REQUESTED', 'WAITING_FOR_STOCK']);
const NEXT = { PAID: 'PROCESSING', PROCESSING: 'COMPLETED' };

/** What may be done with it now. */
export const possible = (order) => ({
  pay: order !== null && PAYABLE.has(order.status) && !UNDER_WAY.has(order.payment?.status),
  cancel: order !== null && CANCELABLE.has(order.status),
  next: order === null ? undefined : NEXT[order.status],
});
