import { expect, test } from '@jest/globals';
import { Mailbox } from './mailbox.js';

/** Whether it has settled by now, without waiting for it. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
}

test('what is pushed is drained in order, once', () => {
  const mailbox = new Mailbox<number>();
  for (const item of [1, 2, 3]) mailbox.push(item);
  expect(mailbox.drain()).toEqual([1, 2, 3]);
  expect(mailbox.drain()).toEqual([]);
});

test('what is more than the limit drops everything and says so, until it is reset', () => {
  const mailbox = new Mailbox<number>(2);
  for (const item of [1, 2]) mailbox.push(item);
  expect(mailbox.overflowed).toBe(false);
  for (const item of [3, 4]) mailbox.push(item);
  expect(mailbox.overflowed).toBe(true);
  expect(mailbox.drain()).toEqual([]);
  mailbox.reset();
  mailbox.push(5);
  expect(mailbox.overflowed).toBe(false);
  expect(mailbox.drain()).toEqual([5]);
});

test('an arrival is waited for until something is pushed', async () => {
  const mailbox = new Mailbox<number>();
  const arrival = mailbox.arrival();
  expect(await settled(arrival)).toBe(false);
  mailbox.push(1);
  await arrival;
  expect(await settled(mailbox.arrival())).toBe(true);
});

test('closing ends the waiting, now and later', async () => {
  const mailbox = new Mailbox<number>();
  const arrival = mailbox.arrival();
  mailbox.close();
  await arrival;
  await mailbox.arrival();
});

test('an overflow counts as an arrival', async () => {
  const mailbox = new Mailbox<number>(1);
  mailbox.push(1);
  mailbox.push(2);
  await mailbox.arrival();
  expect(mailbox.drain()).toEqual([]);
});
