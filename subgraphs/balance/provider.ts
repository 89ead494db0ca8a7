import type { PaymentMethod } from './payments.js';

export interface ChargeRequest {
  /** The idempotency key: charges of one id take money at most once and always come to the same end. */
  readonly paymentId: string;
  readonly orderId: string;
  readonly method: Exclude<PaymentMethod, 'WALLET'>;
  /** Cents. */
  readonly amount: number;
  /** When the payment was first asked for, in milliseconds since the epoch. */
  readonly requestedAt: number;
}

export type ChargeResult =
  | { readonly outcome: 'APPROVED'; readonly reference: string }
  /** `reason` is for programs: CARD_DECLINED. */
  | { readonly outcome: 'DECLINED'; readonly reason: string }
  /** Not decided yet: ask again with the same id. */
  | { readonly outcome: 'PENDING'; readonly askAgainInMs: number };

export interface RefundRequest {
  /** The payment to give back, and the idempotency key: it is given back once. */
  readonly paymentId: string;
  /** Cents. */
  readonly amount: number;
  /** What the provider called the charge. */
  readonly reference: string | null;
}

/**
 * Whoever collects money from cards, PIX and BOLETO. Contract:
 * - both calls may come any number of times, concurrently too, for one payment, and take effect once;
 * - a charge that was approved or declined stays so;
 * - a rejected promise says nothing of the outcome: the caller asks again with the same id.
 */
export interface PaymentProvider {
  charge(request: ChargeRequest): Promise<ChargeResult>;
  /** Resolves when the money is on its way back. */
  refund(request: RefundRequest): Promise<void>;
}

/** Order totals, in cents, that the sandbox treats in a way of their own. docs/payments.md lists them. */
export const SANDBOX_TOTALS = {
  declined: 402_02,
  approvedLate: 202_02,
  declinedLate: 202_40,
} as const;

const REASONS: Readonly<Record<ChargeRequest['method'], string>> = {
  CREDIT_CARD: 'CARD_DECLINED',
  PIX: 'PIX_REJECTED',
  BOLETO: 'BOLETO_REFUSED',
};

export interface SandboxOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long the late answers take; 2 s when absent. */
  readonly delayMs?: number;
}

/**
 * A provider that moves no money: what becomes of a payment depends on its amount alone. It remembers nothing, so the same
 * payment gets the same answer after any crash, and there is nothing that could be taken twice.
 */
export function createSandboxProvider({ now, delayMs = 2_000 }: SandboxOptions): PaymentProvider {
  return {
    charge({ paymentId, method, amount, requestedAt }) {
      const approved: ChargeResult = { outcome: 'APPROVED', reference: `sandbox-${paymentId}` };
      const declined: ChargeResult = { outcome: 'DECLINED', reason: REASONS[method] };
      const waits = amount === SANDBOX_TOTALS.approvedLate || amount === SANDBOX_TOTALS.declinedLate;
      const left = waits ? requestedAt + delayMs - now() : 0;
      if (left > 0) return Promise.resolve({ outcome: 'PENDING', askAgainInMs: left });
      const refused = amount === SANDBOX_TOTALS.declined || amount === SANDBOX_TOTALS.declinedLate;
      return Promise.resolve(refused ? declined : approved);
    },
    refund: () => Promise.resolve(),
  };
}
