import type { IncomingMessage } from 'node:http';
import { expect, test } from '@jest/globals';
import { addressOf, clientAddress, OpenSockets } from './addresses.js';

test('a connection is counted by its network before it says anything', () => {
  expect(addressOf({ remoteAddress: '2001:db8:1:2::9' })).toBe('2001:db8:1:2::/64');
  expect(addressOf({ remoteAddress: undefined })).toBe('');
});

const request = (remoteAddress: string | undefined, forwarded?: string) =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as unknown as IncomingMessage;

test.each([
  ['10.0.0.1', undefined, 0, '10.0.0.1'],
  ['::ffff:10.0.0.1', undefined, 0, '10.0.0.1'],
  ['2001:db8:1:2:3:4:5:6', undefined, 0, '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', undefined, 0, '2001:db8:1:2::/64'],
  ['2001:db8::5', undefined, 0, '2001:db8:0:0::/64'],
  ['::1', undefined, 0, '0:0:0:0::/64'],
  ['fe80::1%eth0', undefined, 0, 'fe80:0:0:0::/64'],
  ['10.0.0.1', '1.2.3.4', 0, '10.0.0.1'],
  ['10.0.0.1', '6.6.6.6, 1.2.3.4', 1, '1.2.3.4'],
  ['10.0.0.1', '6.6.6.6, 1.2.3.4, 10.0.0.2', 2, '1.2.3.4'],
  ['10.0.0.1', '2001:db8:1:2::9', 1, '2001:db8:1:2::/64'],
  ['10.0.0.1', 'unknown', 1, '10.0.0.1'],
  ['10.0.0.1', '1.2.3.4', 2, '10.0.0.1'],
  ['10.0.0.1', undefined, 1, '10.0.0.1'],
  [undefined, undefined, 0, ''],
])('%s, forwarded for %s, with %i proxies of ours, is %s', (near, forwarded, proxies, address) => {
  expect(clientAddress(request(near, forwarded), proxies)).toBe(address);
});

test('each address has so many open at a time; giving back twice gives back once', () => {
  const sockets = new OpenSockets(2);
  const release = sockets.take('a');
  sockets.take('a');
  const takeOneMore = () => sockets.take('a');
  expect(takeOneMore).toThrow(expect.objectContaining({ code: 'RATE_LIMITED', details: { retryAfter: 10 } }));
  sockets.take('b')();
  expect(sockets.size).toBe(2);
  release();
  release();
  expect(sockets.size).toBe(1);
  takeOneMore();
  expect(takeOneMore).toThrow();
});
