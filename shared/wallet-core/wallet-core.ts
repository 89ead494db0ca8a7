import type { Config } from '../config/config.js';
import { AppError } from '../errors/errors.js';

/** Who keeps the accounts: this system, or a foreign Wallet Core to which all of them were handed over. */
export type WalletCoreMode = Config['walletCore'];

/** Why nothing happens to accounts here. */
export const accountsAreExternal = (): AppError =>
  new AppError(
    'UNAVAILABLE',
    'All accounts are kept by another Wallet Core (WALLET_CORE=external); here they can be read, not changed.',
  );

/** @throws AppError UNAVAILABLE while accounts are kept elsewhere. */
export function requireOwnAccounts(mode: WalletCoreMode): void {
  if (mode === 'external') throw accountsAreExternal();
}
