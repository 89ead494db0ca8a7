import { Initial1700000000000 } from './1-initial.js';
import { Timers1760000000000 } from './2-timers.js';
import { VerifiedUsers1760000000001 } from './3-verified-users.js';

/** In the order in which they came to be. */
export const ORDER_MIGRATIONS = [Initial1700000000000, Timers1760000000000, VerifiedUsers1760000000001];
