import { expect, test } from '@jest/globals';
import { formatDuration, parseDuration } from './duration.js';

test('durations are a whole number and one unit', () => {
  expect(['90s', '10m', '2h', '3d', ' 1s ', '0s'].map(parseDuration)).toEqual([
    90_000, 600_000, 7_200_000, 259_200_000, 1_000, 0,
  ]);
  expect(['', '10', 'h', '1.5h', '-1h', '1h30m', '1w', '9999999d'].map(parseDuration)).toEqual(Array(8).fill(null));
});

test('a length of time is told in its largest unit that is worth it', () => {
  const [s, m, h, d] = [1_000, 60_000, 3_600_000, 86_400_000];
  expect([-5, 0, 59 * s, 60 * s, 59 * m, 90 * m, 47 * h, 48 * h, 10 * d].map(formatDuration)).toEqual([
    '0s',
    '0s',
    '59s',
    '1m',
    '59m',
    '1h',
    '47h',
    '2d',
    '10d',
  ]);
});
