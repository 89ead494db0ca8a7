import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { parse, specifiedRules, validate } from 'graphql';
import { apiSchema } from '../../tests/api-schema.js';
import { languageOf, STATES, verifyPage, type State } from './page.js';

const script = readFileSync('gateway/verify/page/verify.page.js', 'utf8');
const serve = readFileSync('gateway/verify/serve.ts', 'utf8');

/** What somebody sees who has no script: the elements that are not hidden. */
const seen = (html: string): string[] =>
  [...html.matchAll(/<p data-for="(\w+)"( hidden)?>/g)].flatMap(([, state = '', hidden]) => (hidden ? [] : [state]));

test.each(STATES)('%s shows its own words and no other, in both languages', (state) => {
  const pages = [verifyPage('en', state), verifyPage('pt-BR', state)];
  for (const page of pages) {
    expect(seen(page)).toEqual([state]);
    expect(page).toContain(`data-state="${state}"`);
  }
  expect(pages[0]).not.toBe(pages[1]);
});

test('a link that was not confirmed can be tried again, and so can another mail that was not sent', () => {
  const forms = (state: State): string[] =>
    [...verifyPage('en', state).matchAll(/<form id="(\w+)"[^>]*>/g)].flatMap(([tag, id = '']) =>
      tag.includes(' hidden') ? [] : [id],
    );
  expect(forms('failed')).toEqual(['confirm']);
  expect([forms('slow'), forms('unsent'), forms('address')]).toEqual([['resend'], ['resend'], ['resend']]);
});

test('the language is the one that the browser prefers, English where that is none of ours', () => {
  expect(['pt-BR,pt;q=0.9,en;q=0.8', 'PT', 'en-GB', 'fr', '', undefined].map(languageOf)).toEqual([
    'pt-BR',
    'pt-BR',
    'en',
    'en',
    'en',
    'en',
  ]);
});

test('a token is carried on as it is, and anything else is not written into the page', () => {
  const token = '0199f5a4-7f3a-7c55-9d5c-2f6a8d0b1c3e.aB_-9';
  expect(verifyPage('en', 'asking', token)).toContain(`name="token" value="${token}"`);
  for (const hostile of ['"><script>alert(1)</script>', "' onfocus=alert(1) ", 'x'.repeat(201), 'a\u0000b', '&quot;']) {
    expect(verifyPage('en', 'asking', hostile)).toBe(verifyPage('en', 'asking'));
  }
});

test('script and forms ask the same of the graph, and the script knows every state and no address but ours', () => {
  const operations = (text: string) => [...text.matchAll(/'(mutation [^']+)'/g)].map(([, operation = '']) => operation);
  expect(operations(script)).toHaveLength(2);
  expect(operations(serve)).toEqual(operations(script));
  for (const operation of operations(script))
    expect(validate(apiSchema(), parse(operation), specifiedRules)).toEqual([]);
  // What an answer leads to stands in both, word for word.
  const outcomes = (text: string) =>
    [...text.matchAll(/const (VERIFIED|RESENT)(?:: Outcomes)? = (\{[^}]+\})/g)].map(([, , table = '']) => table);
  expect(outcomes(script)).toHaveLength(2);
  expect(outcomes(serve)).toEqual(outcomes(script));
  const shown = [
    ...script.matchAll(/show\('(\w+)'\)/g),
    ...outcomes(script)
      .join()
      .matchAll(/: '(\w+)'/g),
  ];
  expect(shown.map(([, state]) => state).filter((state) => !(STATES as readonly unknown[]).includes(state))).toEqual(
    [],
  );
  expect(script).not.toMatch(
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|https?:\/\/|localStorage/,
  );
});
