import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { SMTPServer } from 'smtp-server';
import { newId } from '../../../shared/ids/ids.js';
import type { Mail } from './compose.js';
import { smtpTransport } from './smtp.js';
import { MailServer, SENDER } from './testing.js';

const TIMES = { connectMs: 2_000, silenceMs: 2_000 };
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

let server: MailServer;
beforeEach(async () => {
  server = await new MailServer().start();
});
afterEach(() => server.stop());

const mail = (): Mail => {
  const eventId = newId();
  return {
    eventId,
    kind: 'REMINDER',
    messageId: `<${eventId}@shop.example>`,
    from: SENDER,
    to: { name: 'Ana', address: 'ana@example.com' },
    date: 1,
    subject: 'Hello',
    text: 'Hello\n.\nRCPT TO:<victim@example.com>\n',
    html: '<p>Hello</p>',
  };
};

test('connections are kept for the next mails, and a text cannot end the mail early', async () => {
  const transport = smtpTransport(server.url, TIMES);
  for (let index = 0; index < 5; index++) expect(await transport.send(mail(), soon())).toEqual({ type: 'sent' });
  await transport.close();
  expect(server.connections).toBe(1);
  expect(server.received).toHaveLength(5);
  for (const { to, raw } of server.received) {
    expect(to).toEqual(['ana@example.com']);
    expect(raw).toContain('RCPT TO:<victim@example.com>');
  }
});

test('a password is not given to a server that offers no encryption, where encryption is asked for', async () => {
  const logins: string[] = [];
  server.onLogin = (user) => logins.push(user) > 0;
  const asked = smtpTransport(`${server.url.replace('://', '://me:secret@')}?requireTLS=true`, TIMES);
  expect(await asked.send(mail(), soon())).toMatchObject({ type: 'away' });
  expect(logins).toEqual([]);
  await asked.close();
});

test('a certificate that nobody vouches for is a server that is away, and nothing goes out in the clear', async () => {
  const senders: string[] = [];
  // It offers encryption, with a certificate that everybody has the key of, and warns of that.
  const warning = jest.spyOn(console, 'error').mockImplementation(() => undefined);
  const strange = new SMTPServer({
    authOptional: true,
    closeTimeout: 1,
    onMailFrom: ({ address }, _session, done) => {
      senders.push(address);
      done();
    },
  });
  warning.mockRestore();
  strange.on('error', () => undefined);
  await new Promise<void>((resolve) => strange.listen(0, '127.0.0.1', resolve));
  const { port } = strange.server.address() as AddressInfo;
  const transport = smtpTransport(`smtp://127.0.0.1:${port}`, TIMES);
  expect(await transport.send(mail(), soon())).toMatchObject({ type: 'away' });
  expect(senders).toEqual([]);
  await transport.close();
  await new Promise<void>((resolve) => strange.close(() => resolve()));
});

test('an attempt that is broken off tells whether the server may have the mail', async () => {
  const transport = smtpTransport(server.url, TIMES);
  const breakOff = new AbortController();
  server.onRecipient = () => {
    breakOff.abort();
    return new Promise(() => undefined);
  };
  expect(await transport.send(mail(), breakOff.signal)).toMatchObject({ type: 'away' });
  server.onRecipient = () => Promise.resolve(null);
  const later = new AbortController();
  server.onMail = () => {
    later.abort();
    return new Promise(() => undefined);
  };
  expect(await transport.send(mail(), later.signal)).toMatchObject({ type: 'unknown' });
  await transport.close();
});

test('what a server says is told without addresses, and names neither user nor password', async () => {
  server.onRecipient = (address) =>
    Promise.resolve(Object.assign(new Error(`<${address}> (${address}) unknown`), { responseCode: 550 }));
  const transport = smtpTransport(server.url.replace('://', '://me:secret@'), TIMES);
  const outcome = await transport.send(mail(), soon());
  expect(outcome).toMatchObject({ type: 'refused', error: expect.stringContaining('[address]') });
  expect(JSON.stringify(outcome) + transport.name).not.toMatch(/ana@example|secret|me:/);
  await transport.close();
});

test('an address that cannot be written to is refused without asking anybody', async () => {
  const transport = smtpTransport(server.url, TIMES);
  const hostile = { ...mail(), to: { name: 'x', address: 'a@example.com>\r\nDATA' } };
  expect(await transport.send(hostile, soon())).toMatchObject({ type: 'refused' });
  expect(server.connections).toBe(0);
  await transport.close();
});
