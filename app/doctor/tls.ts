import { X509Certificate } from 'node:crypto';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TlsOptions } from '../../shared/config/tls.js';

/** Where a server speaks TLS. */
export interface Target {
  readonly title: string;
  readonly host: string;
  readonly port: number;
  /** MySQL speaks first, and changes to TLS when it is asked to. */
  readonly greets: boolean;
  /** What we show: some servers show nothing before they have seen it. */
  readonly own?: Pick<TlsOptions, 'cert' | 'key'>;
}

const LIMIT_MS = 5_000;

/** CLIENT_PROTOCOL_41, CLIENT_SSL, CLIENT_SECURE_CONNECTION. */
const WANTS_TLS = 0x0200 | 0x0800 | 0x8000;

/**
 * The certificate that a server shows, whoever signed it and whatever its age. Nothing is sent to it but the wish for TLS, and
 * our own certificate where it asks for one.
 * Rejects when there is no TLS within five seconds.
 */
export async function certificateOf({ host, port, greets, own }: Target): Promise<X509Certificate> {
  const plain = connect({ host, port });
  const timer = setTimeout(() => plain.destroy(new Error('ETIMEDOUT')), LIMIT_MS);
  try {
    if (greets) await askForTls(plain);
    return await handshake(plain, host, own);
  } finally {
    clearTimeout(timer);
    plain.destroy();
  }
}

function handshake(socket: Socket, host: string, own: Target['own']): Promise<X509Certificate> {
  return new Promise((resolve, reject) => {
    // What would be wrong with it is for the report to say.
    const options = { ...own, socket, rejectUnauthorized: false, ...(isIP(host) === 0 && { servername: host }) };
    const secure = connectTls(options, () => {
      const { raw } = secure.getPeerCertificate();
      if (raw === undefined) reject(new Error('there is none'));
      else resolve(new X509Certificate(raw));
    });
    secure.once('error', reject);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('ECONNRESET')));
  });
}

/** Waits for MySQL's greeting and answers it with an SSLRequest, which carries no user. */
function askForTls(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('ECONNRESET')));
    socket.once('data', () => {
      const packet = Buffer.alloc(36);
      packet.writeUIntLE(32, 0, 3);
      packet.writeUInt8(1, 3);
      packet.writeUInt32LE(WANTS_TLS, 4);
      packet.writeUInt32LE(1 << 24, 8);
      packet.writeUInt8(45, 12); // utf8mb4
      socket.write(packet);
      resolve();
    });
  });
}
