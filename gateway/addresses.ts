import type { IncomingMessage } from 'node:http';
import { isIP, isIPv6, type Socket } from 'node:net';
import { AppError } from '../shared/errors/errors.js';

/** One that opens too many sockets is told to come back after that long. */
const SOCKET_RETRY_SECONDS = 10;

/**
 * Address of the client as it is counted: IPv4 as it is, IPv6 by its first 64 bits, which is what one household has.
 * @param trustedProxies how many proxies of ours stand in front, each of which appends whom it serves to
 *   `X-Forwarded-For`; what else stands there is the client's own claim and is not believed
 */
export function clientAddress(
  { headers, socket }: Pick<IncomingMessage, 'headers' | 'socket'>,
  trustedProxies: number,
) {
  const near = socket.remoteAddress ?? '';
  if (trustedProxies === 0) return addressOf(socket);
  const forwarded = headers['x-forwarded-for'];
  const hops = (typeof forwarded === 'string' ? forwarded : '').split(',').map((hop) => hop.trim());
  const claimed = hops.at(-trustedProxies) ?? '';
  return counted(isIP(claimed) === 0 ? near : claimed);
}

/** The same of a connection that has not said anything yet. */
export const addressOf = (socket: Pick<Socket, 'remoteAddress'>): string => counted(socket.remoteAddress ?? '');

function counted(address: string): string {
  if (!address.includes(':')) return address;
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.replace(/%.*/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? 0 : tail.split(':').length;
  const whole =
    tail === undefined ? groups : [...groups, ...Array<string>(Math.max(0, 8 - groups.length - behind)).fill('0')];
  const network = [...whole, ...(tail ?? '').split(':'), '0', '0', '0', '0'].slice(0, 4);
  return `${network.map((group) => Number.parseInt(group === '' ? '0' : group, 16).toString(16)).join(':')}::/64`;
}

/** Counts what each address has open at a time. */
export class OpenSockets {
  private readonly open = new Map<string, number>();

  constructor(private readonly limit: number) {}

  /** @returns how to give it back, once. @throws AppError RATE_LIMITED when the address has as many as it may. */
  take(address: string): () => void {
    const open = this.open.get(address) ?? 0;
    if (open >= this.limit) {
      throw new AppError('RATE_LIMITED', `An address has ${this.limit} sockets open at a time.`, {
        details: { retryAfter: SOCKET_RETRY_SECONDS },
      });
    }
    this.open.set(address, open + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      const left = (this.open.get(address) ?? 1) - 1;
      if (left === 0) this.open.delete(address);
      else this.open.set(address, left);
    };
  }

  /** In all, of every address. */
  get size(): number {
    return [...this.open.values()].reduce((sum, open) => sum + open, 0);
  }
}
