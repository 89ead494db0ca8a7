import { expect, test } from '@jest/globals';
import { ansiToSvg } from './ansi-svg.mjs';

const OPTIONS = { command: 'tributary demo', title: 'A demo', columns: 20 };
const draw = (output: string): string => ansiToSvg(output, OPTIONS);
/** Text, column and the attributes behind its place, of every run below the bar. */
const runs = (output: string) =>
  [...draw(output).matchAll(/<text x="([\d.]+)" y="\d+" textLength="[\d.]+" lengthAdjust="\w+"([^>]*)>([^<]*)</g)]
    .slice(1)
    .map(([, x, style = '', text]) => ({ text, column: Math.round((Number(x) - 20) / 8.4), style: style.trim() }));

test('every run of characters stands in its columns, with its colour', () => {
  expect(runs('ab   \u001b[32mok\u001b[39m \u001b[1mbold\u001b[22m\n  \u001b[2mlow\u001b[22m')).toEqual([
    { text: 'ab', column: 0, style: '' },
    { text: 'ok', column: 5, style: 'fill="#7ee787"' },
    { text: 'bold', column: 8, style: 'font-weight="700"' },
    { text: 'low', column: 2, style: 'fill="#8b98a9"' },
  ]);
});

test('a style goes on over line breaks until it ends', () => {
  expect(runs('\u001b[31ma\nb\u001b[0mc').map(({ style }) => style !== '')).toEqual([true, true, false]);
});

test('what is written is text and never markup', () => {
  expect(draw('<script>&"')).toContain('>&#60;script&#62;&#38;&#34;<');
  expect(draw('<script>')).not.toMatch(/<script/);
});

test('its size follows from the columns and the lines alone, and the same output gives the same picture', () => {
  const size = (svg: string) => /width="[\d.]+" height="[\d.]+"/.exec(svg)?.[0];
  expect(size(draw('a\nb'))).toBe(size(draw('longer\nlines\n')));
  expect(draw('a')).toBe(draw('a'));
});

test('what would not look as it was is refused: cursor movements and styles that are not known', () => {
  expect(() => draw('a\u001b[2Kb')).toThrow('no sequence');
  expect(() => draw('a\u001b[48mb')).toThrow('no style');
});
