import { expect, test } from '@jest/globals';
import { accepts } from './media-types.js';

const JSON_NEW = ['application/json; charset=utf-8', false];
const JSON_OLD = ['application/json; charset=utf-8', true];
const GRAPHQL = ['application/graphql-response+json; charset=utf-8', false];

test.each<[string | undefined, unknown]>([
  [undefined, JSON_NEW],
  ['*/*', JSON_NEW],
  ['application/*', JSON_NEW],
  ['application/json', JSON_OLD],
  ['Application/JSON; charset=utf-8', JSON_OLD],
  ['application/graphql-response+json', GRAPHQL],
  ['application/graphql-response+json, application/json;q=0.9', GRAPHQL],
  ['application/json;q=0.5, application/graphql-response+json;q=0.6', GRAPHQL],
  ['application/json, application/graphql-response+json', JSON_OLD],
  ['text/html,application/xhtml+xml,*/*;q=0.8', 'page'],
  ['application/json, text/html;q=0.1', JSON_OLD],
  ['image/png', undefined],
  ['application/json;q=0', undefined],
  ['application/json;q=nonsense', undefined],
  [',;,', undefined],
  ['constructor', undefined],
  ['__proto__', undefined],
])('%p is answered as %j', (accept, expected) => {
  const type = accepts(accept);
  expect(typeof type === 'object' ? [type.contentType, type.legacy] : type).toEqual(expected);
});
