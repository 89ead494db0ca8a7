import type { Transaction } from '../../shared/database/port.js';
import { AppError, assertNever } from '../../shared/errors/errors.js';
import type { AnyNewEvent } from '../../shared/events/event.js';
import { newId } from '../../shared/ids/ids.js';
import { requireOwnAccounts, type WalletCoreMode } from '../../shared/wallet-core/wallet-core.js';
import { SALES_ID, type AccountState } from './account.js';
import { move, type Moved, type TransactionKind } from './ledger.js';
import {
  apply,
  attemptOf,
  type Attempt,
  type PaymentBook,
  type PaymentCommand,
  type PaymentEvent,
} from './payments.js';
import { callFor, keyOf, type ProviderCall, type ProviderCalls } from './provider-calls.js';
import type { BalanceStore } from './store.js';

/** Why a wallet was not asked for money. */
export const ACCOUNT_NOT_FOUND = 'ACCOUNT_NOT_FOUND';
export const ACCOUNT_OF_ANOTHER_USER = 'ACCOUNT_OF_ANOTHER_USER';
export const WALLET_CORE_EXTERNAL = 'WALLET_CORE_EXTERNAL';

export interface Cause {
  /** Whose order it is; needed where a wallet may be asked. */
  readonly userId: string | null;
  /** Trace context of what caused the command. */
  readonly traceparent: string | null;
}

/**
 * Decides any number of payment commands in memory and then writes each table once. Wallets are settled at once, in the
 * same transaction; the provider is asked afterwards, by whoever works through `provider_calls`.
 */
export class Collector {
  private readonly known: ReadonlySet<string>;
  private readonly changed = new Set<string>();
  private readonly moved: Moved[] = [];
  private readonly calls = new Map<string, ProviderCall>();
  private readonly dropped: string[] = [];
  private readonly published: AnyNewEvent[] = [];

  /**
   * Books and accounts are locked, those that exist of all that the commands may need. While accounts are kept elsewhere
   * no wallet pays, and a refund to one throws UNAVAILABLE: nobody here can say that it was made.
   */
  constructor(
    private readonly books: Map<string, PaymentBook>,
    private readonly accounts: Map<string, AccountState>,
    private readonly walletCore: WalletCoreMode = 'own',
  ) {
    this.known = new Set(books.keys());
  }

  handle(orderId: string, command: PaymentCommand, cause: Cause): void {
    const { book, happened, published } = apply(this.books.get(orderId) ?? null, command);
    if (book === null || happened.length === 0) return;
    this.books.set(orderId, book);
    this.changed.add(orderId);
    this.publish(published, cause);
    for (const event of happened) this.follow(book, event, cause);
  }

  write(tx: Transaction, { store, calls }: { readonly store: BalanceStore; readonly calls: ProviderCalls }): void {
    const books = [...this.changed].map((orderId) => this.books.get(orderId) as PaymentBook);
    store.saveBooks(
      tx,
      books.filter(({ orderId }) => !this.known.has(orderId)),
      books.filter(({ orderId }) => this.known.has(orderId)),
    );
    store.saveMovements(tx, this.moved);
    calls.dropCharges(tx, this.dropped);
    calls.request(tx, [...this.calls.values()]);
    store.publish(tx, this.published);
  }

  /** Does what an event of the book leaves to be done. */
  private follow(book: PaymentBook, event: PaymentEvent, cause: Cause): void {
    const { orderId } = book;
    switch (event.type) {
      case 'chargeRequested': {
        const attempt = attemptOf(book, event.paymentId);
        if (attempt.method === 'WALLET') this.handle(orderId, this.payFromWallet(attempt, event.at, cause), cause);
        else this.request(callFor('CHARGE', orderId, attempt, { at: event.at, traceparent: cause.traceparent }));
        return;
      }
      case 'refundRequested': {
        const attempt = attemptOf(book, event.paymentId);
        if (attempt.method === 'WALLET') this.handle(orderId, this.refundToWallet(attempt, event.at, cause), cause);
        else this.request(callFor('REFUND', orderId, attempt, { at: event.at, traceparent: cause.traceparent }));
        return;
      }
      case 'payment.failed':
        if (event.status === 'VOIDED') this.drop(event.paymentId);
        return;
      case 'attempted':
      case 'closed':
      case 'payment.completed':
      case 'payment.refunded':
        return;
      default:
        assertNever(event);
    }
  }

  private payFromWallet({ paymentId, accountId, amount }: Attempt, at: number, cause: Cause): PaymentCommand {
    const wallet = accountId === null ? undefined : this.accounts.get(accountId);
    const decline = (reason: string): PaymentCommand => ({ type: 'decline', paymentId, reason, at });
    if (this.walletCore === 'external') return decline(WALLET_CORE_EXTERNAL);
    if (wallet === undefined) return decline(ACCOUNT_NOT_FOUND);
    if (wallet.userId === null || wallet.userId !== cause.userId) return decline(ACCOUNT_OF_ANOTHER_USER);
    try {
      const reference = this.transfer(wallet.id, SALES_ID, { kind: 'PAYMENT', amount, at }, cause);
      return { type: 'approve', paymentId, reference, at };
    } catch (error) {
      if (error instanceof AppError) return decline(error.code);
      throw error;
    }
  }

  private refundToWallet({ paymentId, accountId, amount }: Attempt, at: number, cause: Cause): PaymentCommand {
    if (accountId === null) throw new Error(`payment ${paymentId} was taken from no account`);
    requireOwnAccounts(this.walletCore);
    this.transfer(SALES_ID, accountId, { kind: 'REFUND', amount, at }, cause);
    return { type: 'confirmRefund', paymentId, at };
  }

  /** Answers the transaction's id. */
  private transfer(
    fromId: string,
    toId: string,
    movement: { readonly kind: TransactionKind; readonly amount: number; readonly at: number },
    cause: Cause,
  ): string {
    const transactionId = newId();
    const moved = move(this.account(fromId), this.account(toId), { ...movement, transactionId });
    this.accounts.set(fromId, moved.from).set(toId, moved.to);
    this.moved.push(moved);
    this.publish(moved.events, cause);
    return transactionId;
  }

  private account(id: string): AccountState {
    const account = this.accounts.get(id);
    if (account === undefined) throw new Error(`account ${id} was not locked or does not exist`);
    return account;
  }

  private request(call: ProviderCall): void {
    this.calls.set(keyOf(call), call);
  }

  /** A charge asked for by an earlier command of ours is not even written. */
  private drop(paymentId: string): void {
    if (!this.calls.delete(keyOf({ payment_id: paymentId, kind: 'CHARGE' }))) this.dropped.push(paymentId);
  }

  private publish(events: readonly AnyNewEvent[], { traceparent }: Cause): void {
    this.published.push(...events.map((event) => ({ ...event, traceparent })));
  }
}
