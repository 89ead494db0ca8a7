import { expect, test } from '@jest/globals';
import { within } from './within.js';

const never = new Promise<never>(() => undefined);

test('what settles in time is passed on, and the limit is not heard of', async () => {
  const late = (): never => {
    throw new Error('late');
  };
  expect(await within(60_000, Promise.resolve('in time'), late)).toBe('in time');
  await expect(within(60_000, Promise.reject(new Error('its own')), late)).rejects.toThrow('its own');
});

test('what does not settle is answered by the limit: with a value, or an error', async () => {
  expect(await within(1, never, () => 'late')).toBe('late');
  await expect(
    within(1, never, () => {
      throw new Error('late');
    }),
  ).rejects.toThrow('late');
});

test('what is rejected after the limit is nobody’s to catch', async () => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise<never>((_, reject) => (fail = reject));
  expect(await within(1, work, () => 'late')).toBe('late');
  fail(new Error('unheard'));
  await new Promise(setImmediate);
});
