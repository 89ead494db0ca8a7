import { isIP } from 'node:net';

/** Apollo Sandbox: the page itself, and the one it embeds. */
const SANDBOX = ['https://studio.apollographql.com', 'https://sandbox.embed.apollographql.com'];

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

/** Which web pages may talk to the gateway from a browser. Programs send no Origin; they are concerned in demo mode only. */
export class Origins {
  private readonly allowed: ReadonlySet<string>;
  private readonly public: boolean;
  private lastHost: string | undefined;
  private lastIsLocal = false;

  /**
   * @param bound the host the gateway listens on
   * @param allowed origins besides its own pages
   * @param sandbox whether Apollo Sandbox is allowed too, which is of use only to those who may ask about the schema
   * @param demo whether a client is somebody without a token, as a page in somebody's browser would be
   */
  constructor(
    bound: string,
    allowed: readonly string[] = [],
    sandbox = true,
    private readonly demo = false,
  ) {
    this.allowed = new Set([...(sandbox ? SANDBOX : []), ...allowed]);
    this.public = !LOOPBACK.has(bound);
  }

  /**
   * Whether a page of that origin may send requests that arrived with that Host header. Its own pages always may. On a
   * loopback listener "own" takes an address or localhost: a name could be anybody's that resolves to 127.0.0.1.
   *
   * A browser sends no Origin with what a page GETs from its own site. So in demo mode whatever comes without one has to
   * ask for an address, a name without dots, which is nobody's on the Internet, or the host of an allowed origin.
   */
  allows(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined) return !this.demo || host === undefined || this.isLocal(host);
    if (this.allowed.has(origin)) return true;
    if (!URL.canParse(origin)) return false;
    const page = new URL(origin);
    const name = page.hostname.replace(/^\[|\]$/g, '');
    return page.host === host && (this.public || name === 'localhost' || isIP(name) !== 0);
  }

  private isLocal(host: string): boolean {
    // Nearly all requests are for the same one.
    if (host === this.lastHost) return this.lastIsLocal;
    this.lastHost = host;
    return (this.lastIsLocal = this.looksLocal(host));
  }

  private looksLocal(host: string): boolean {
    if (!URL.canParse(`http://${host}`)) return false;
    const name = new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '');
    return !name.includes('.') || isIP(name) !== 0 || [...this.allowed].some((origin) => new URL(origin).host === host);
  }
}
