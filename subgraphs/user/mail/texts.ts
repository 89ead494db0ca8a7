import type { Locale } from '../../../shared/events/states.js';
import { INSUFFICIENT_STOCK, type MailKind } from './kinds.js';

/** What texts are made of; amounts and times are written for the locale already. */
export interface Facts {
  /** Who writes: the name in MAIL_FROM. */
  readonly shop: string;
  /** '' where there is no order. */
  readonly order: string;
  readonly total: string;
  /** When a link or an unpaid order ends; null: it does not. */
  readonly expires: string | null;
  readonly cancelReason: string | null;
  /** Whether a payment is under way; whether it is over, and the money there. */
  readonly paying: boolean;
  readonly paid: boolean;
}

export interface Wording {
  readonly subject: string;
  readonly paragraphs: readonly string[];
  readonly action?: string;
  readonly notes?: readonly string[];
}

export interface Texts {
  greeting(name: string): string;
  readonly total: string;
  readonly orderId: string;
  /** Before a link that is written out. */
  readonly orOpen: string;
  because(shop: string): string;
  readonly kinds: Readonly<Record<MailKind, (facts: Facts) => Wording>>;
}

const EN: Texts = {
  greeting: (name) => (name === '' ? 'Hello,' : `Hello ${name},`),
  total: 'Total',
  orderId: 'Order',
  orOpen: 'If the button does not work, open this address:',
  because: (shop) => `You get this mail because of your account at ${shop}.`,
  kinds: {
    VERIFICATION: ({ shop, expires }) => ({
      subject: 'Confirm your e-mail address',
      paragraphs: [
        `Please confirm that this address is yours. After that you can order at ${shop}.`,
        `The link works once, until ${expires}.`,
      ],
      action: 'Confirm my address',
      notes: ['If you have not asked for this, do nothing: without the link nothing happens.'],
    }),
    ORDER_CONFIRMATION: ({ order, paying }) => ({
      subject: `We have your order ${order}`,
      paragraphs: [
        'Thank you for your order. The goods are set aside for you.',
        paying
          ? 'Your payment is being made; we write again when it is through.'
          : 'It is yours as soon as it is paid.',
      ],
      action: paying ? 'See the order' : 'Pay the order',
    }),
    PAYMENT_RECEIPT: ({ order, total }) => ({
      subject: `Paid: order ${order}`,
      paragraphs: [`We have received your payment of ${total}. Thank you; your order is being prepared.`],
      action: 'See the order',
    }),
    REMINDER: ({ order, total, expires }) => ({
      subject: `Your order ${order} is waiting for payment`,
      paragraphs: [
        `The goods of your order are set aside for you, and ${total} are still to be paid.`,
        ...(expires === null ? [] : [`If it is not paid by ${expires}, the order ends and the goods go back on sale.`]),
      ],
      action: 'Pay the order',
      notes: ['If you have paid in the last few minutes, all is well: this mail and your payment have crossed.'],
    }),
    CANCELLATION: ({ order, total, cancelReason, paid }) => ({
      subject: `Order ${order} is canceled`,
      paragraphs: [
        cancelReason === INSUFFICIENT_STOCK
          ? 'We are sorry: there is not enough left of what you ordered, so the order is canceled.'
          : 'Your order is canceled.',
        paid
          ? `You get back the ${total} that you paid, the way you paid it.`
          : 'You have paid nothing for it. Should a payment still come in, you get it back.',
      ],
    }),
    EXPIRY: ({ order }) => ({
      subject: `Order ${order} has expired`,
      paragraphs: [
        'Your order was not paid in time, so it has ended, and the goods are on sale again.',
        'You owe nothing. Should a payment still come in, you get it back. You are welcome to order again.',
      ],
    }),
  },
};

const PT: Texts = {
  greeting: (name) => (name === '' ? 'Olá!' : `Olá, ${name}!`),
  total: 'Total',
  orderId: 'Pedido',
  orOpen: 'Se o botão não funcionar, abra este endereço:',
  because: (shop) => `Você recebeu este e-mail por causa da sua conta em ${shop}.`,
  kinds: {
    VERIFICATION: ({ shop, expires }) => ({
      subject: 'Confirme o seu endereço de e-mail',
      paragraphs: [
        `Confirme, por favor, que este endereço é seu. Depois disso você já pode fazer pedidos em ${shop}.`,
        `O link funciona uma única vez, até ${expires}.`,
      ],
      action: 'Confirmar meu endereço',
      notes: ['Se não foi você que pediu, não faça nada: sem o link nada acontece.'],
    }),
    ORDER_CONFIRMATION: ({ order, paying }) => ({
      subject: `Recebemos o seu pedido ${order}`,
      paragraphs: [
        'Obrigado pelo seu pedido. Os produtos estão reservados para você.',
        paying
          ? 'O seu pagamento está em andamento; avisaremos quando for concluído.'
          : 'Assim que o pagamento for feito, eles são seus.',
      ],
      action: paying ? 'Ver o pedido' : 'Pagar o pedido',
    }),
    PAYMENT_RECEIPT: ({ order, total }) => ({
      subject: `Pagamento recebido: pedido ${order}`,
      paragraphs: [`Recebemos o seu pagamento de ${total}. Obrigado; já estamos preparando o seu pedido.`],
      action: 'Ver o pedido',
    }),
    REMINDER: ({ order, total, expires }) => ({
      subject: `O seu pedido ${order} aguarda o pagamento`,
      paragraphs: [
        `Os produtos do seu pedido estão reservados para você, e ainda faltam ${total}.`,
        ...(expires === null
          ? []
          : [`Sem o pagamento até ${expires}, o pedido termina e os produtos voltam a ser vendidos.`]),
      ],
      action: 'Pagar o pedido',
      notes: ['Se você pagou nos últimos minutos, está tudo certo: este e-mail e o seu pagamento se cruzaram.'],
    }),
    CANCELLATION: ({ order, total, cancelReason, paid }) => ({
      subject: `O pedido ${order} foi cancelado`,
      paragraphs: [
        cancelReason === INSUFFICIENT_STOCK
          ? 'Lamentamos: não há estoque suficiente do que você pediu, por isso o pedido foi cancelado.'
          : 'O seu pedido foi cancelado.',
        paid
          ? `Você receberá de volta os ${total} que pagou, pelo mesmo meio de pagamento.`
          : 'Nada foi cobrado. Se algum pagamento ainda chegar, ele será devolvido.',
      ],
    }),
    EXPIRY: ({ order }) => ({
      subject: `O pedido ${order} expirou`,
      paragraphs: [
        'O seu pedido não foi pago a tempo; por isso ele terminou, e os produtos voltaram a ser vendidos.',
        'Você não deve nada. Se algum pagamento ainda chegar, ele será devolvido. Fique à vontade para pedir de novo.',
      ],
    }),
  },
};

/** What people read, by their language. */
export const TEXTS: Readonly<Record<Locale, Texts>> = { EN, PT };
