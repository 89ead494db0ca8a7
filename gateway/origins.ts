import { isIP } from 'node:net';

/** Apollo Sandbox: the page itself, and the one it embeds. */
const SANDBOX = ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com'];

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

/** Which web pages may talk to the gateway from a browser. Programs send no Origin and are not concerned. */
export class Origins {
  private readonly allowed: ReadonlySet<string>;
  private readonly public: boolean;

  /**
   * @param bound the host the gateway listens on
   * @param allowed origins besides its own pages and Apollo Sandbox
   */
  constructor(bound: string, allowed: readonly string[] = []) {
    this.allowed = new Set([...SANDBOX, ...allowed]);
    this.public = !LOOPBACK.has(bound);
  }

  /**
   * Whether a page of that origin may send requests that arrived with that Host header. Its own pages always may. On a
   * loopback listener "own" takes an address or localhost: a name could be anybody's that resolves to 127.0.0.1.
   */
  allows(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined || this.allowed.has(origin)) return true;
    if (!URL.canParse(origin)) return false;
    const page = new URL(origin);
    const name = page.hostname.replace(/^\[|\]$/g, '');
    return page.host === host && (this.public || name === 'localhost' || isIP(name) !== 0);
  }
}
