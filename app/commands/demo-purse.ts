/**
 * Nothing in the graph takes money out of the system, so money that a run brought in could never leave it again. The demo
 * has a purse of its own therefore, made by the first run: it lends the customer what the story needs and gets it back.
 */
import { formatAmount } from '../../shared/money/money.js';
import { GraphError, type DemoClient } from './demo-client.js';

const EMAIL = 'demo-purse@tributary.example';
const NAME = "The Demo's Purse";

export interface Purse {
  readonly userId: string;
  readonly accountId: string;
}

interface Found {
  readonly users: {
    readonly nodes: readonly {
      readonly id: string;
      readonly email: string;
      readonly accounts: readonly { id: string }[] | null;
    }[];
  };
}

const FIND = 'query Demo($email: String!) { users(filter: { search: $email }) { nodes { id email accounts { id } } } }';

/** The views hear of a purse that somebody else makes at this moment a little later. */
const ATTEMPTS = 20;
const PAUSE_MS = 100;

/** The purse, made if it is not there yet. Several runs may ask for it at once. @throws GraphError */
async function openPurse(admin: DemoClient): Promise<Purse> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { users } = await admin.query<Found>(FIND, { email: EMAIL });
      const found = users.nodes.find(({ email }) => email === EMAIL);
      const userId = found?.id ?? (await createUser(admin));
      const accountId = found?.accounts?.[0]?.id ?? (await createAccount(admin, userId));
      return { userId, accountId };
    } catch (error) {
      if (!(error instanceof GraphError) || error.code !== 'CONFLICT' || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

async function createUser(admin: DemoClient): Promise<string> {
  const input = { name: NAME, email: EMAIL };
  return (await admin.mutate<{ user: { id: string } }>('createUser', 'user { id }', input)).user.id;
}

/** The key: of two runs that ask at once, both get the same account. */
async function createAccount(admin: DemoClient, userId: string): Promise<string> {
  const input = { userId, idempotencyKey: `demo-purse:${userId}` };
  return (await admin.mutate<{ account: { id: string } }>('createAccount', 'account { id }', input)).account.id;
}

/** What `lend` reads and notes. */
interface Loan {
  readonly walletId: string | null;
  purse: Purse | null;
  /** Cents. */
  lent: number;
}

/** Moves so many cents from the purse into the wallet; what the purse lacks comes in from outside. @throws GraphError */
export async function lend(admin: DemoClient, loan: Loan, cents: number): Promise<void> {
  const { walletId } = loan;
  const purse = (loan.purse ??= await openPurse(admin));
  const amount = formatAmount(cents);
  const key = `demo:${walletId}`;
  const loanInput = { fromAccountId: purse.accountId, toAccountId: walletId, amount, idempotencyKey: `${key}:loan` };
  // Noted first: an answer may get lost.
  loan.lent = cents;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await admin.mutate('transfer', 'transaction { id }', loanInput);
      return;
    } catch (error) {
      const isShort = error instanceof GraphError && error.code === 'INSUFFICIENT_FUNDS';
      // Others may borrow at the same moment.
      if (!isShort || attempt === ATTEMPTS) throw error;
      const input = { accountId: purse.accountId, amount, idempotencyKey: `${key}:deposit:${attempt}` };
      await admin.mutate('deposit', 'transaction { id }', input);
    }
  }
}
