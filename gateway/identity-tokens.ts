import { IDENTITY_TTL_MS, signIdentity, type Identity } from '../shared/identity/identity.js';

/** Tokens kept; the oldest goes first. */
const MAX_TOKENS = 10_000;

/** A token is used for half of its life, so that it is still valid when a slow subgraph gets to it. */
const REUSE_MS = IDENTITY_TTL_MS / 2;

/** Signed identities, made once per person and subgraph and renewed in time. */
export class IdentityTokens {
  private readonly secret: string;
  private readonly now: () => number;
  private readonly tokens = new Map<string, { readonly token: string; readonly signedAt: number }>();

  constructor(secret: string, now: () => number) {
    this.secret = secret;
    this.now = now;
  }

  /** A token that is valid for at least half a minute from now. */
  tokenFor(identity: Identity, subgraph: string): string {
    const key = `${subgraph} ${identity.role} ${identity.userId ?? ''} ${identity.address ?? ''}`;
    const now = this.now();
    const known = this.tokens.get(key);
    if (known !== undefined && now - known.signedAt < REUSE_MS) return known.token;
    const token = signIdentity(identity, subgraph, this.secret, now);
    this.tokens.delete(key);
    this.tokens.set(key, { token, signedAt: now });
    if (this.tokens.size > MAX_TOKENS) this.tokens.delete(this.tokens.keys().next().value ?? '');
    return token;
  }
}
