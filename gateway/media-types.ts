/** The media type of an answer, by what the client accepts. */
export interface ResponseType {
  readonly contentType: string;
  /** The client named application/json and nothing newer. */
  readonly legacy: boolean;
}

const GRAPHQL_TYPE: ResponseType = { contentType: 'application/graphql-response+json; charset=utf-8', legacy: false };
const LEGACY_TYPE: ResponseType = { contentType: 'application/json; charset=utf-8', legacy: true };
/** For those who take anything. */
export const JSON_TYPE: ResponseType = { contentType: 'application/json; charset=utf-8', legacy: false };

/**
 * The type that the client likes best, the first of equals; `page` when that is HTML; undefined when it takes none of ours.
 * Who says nothing gets JSON.
 */
export function accepts(accept: string | undefined): ResponseType | 'page' | undefined {
  if (accept === undefined || accept === '' || accept === '*/*') return JSON_TYPE;
  const only = TYPES.get(accept);
  if (only !== undefined) return only;
  let best: { readonly type: ResponseType | 'page'; readonly weight: number } | undefined;
  for (const range of accept.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const type = TYPES.get(name);
    if (type === undefined) continue;
    const weight = Number(parameters.find((one) => one.startsWith('q='))?.slice(2) ?? 1);
    if (weight > (best?.weight ?? 0)) best = { type, weight };
  }
  return best?.type;
}

/** A map: what a client names could also be a property that every object has. */
const TYPES: ReadonlyMap<string, ResponseType | 'page'> = new Map<string, ResponseType | 'page'>([
  ['application/graphql-response+json', GRAPHQL_TYPE],
  ['application/json', LEGACY_TYPE],
  ['application/*', JSON_TYPE],
  ['*/*', JSON_TYPE],
  ['text/html', 'page'],
]);
