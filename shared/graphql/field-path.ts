/** Where in a client's input an error lies: `items.0.quantity`. */
import { Kind, parse, visit, type ASTNode, type DocumentNode, type GraphQLError, type Source } from 'graphql';

/** Parsed once per request however many errors it has: a long list of wrong items is cheap to refuse. */
const documents = new WeakMap<Source, DocumentNode>();

/**
 * The input field a parse, validation or coercion error of graphql-js is about, as the client spells it, without the
 * leading `input.` that every mutation has. Undefined when it is about no field.
 */
export function fieldOf(error: GraphQLError): string | undefined {
  const node = error.nodes?.[0];
  if (node?.loc === undefined) return undefined;
  const path =
    node.kind === Kind.VARIABLE_DEFINITION
      ? [
          ...pathTo(node.loc.source, (other) => isUseOf(other, node.variable.name.value), [node.variable.name.value]),
          ...pathInVariable(error),
        ]
      : pathTo(node.loc.source, (other) => other.kind === node.kind && other.loc?.start === node.loc?.start, []);
  const named = [...path, ...missingName(error)];
  const bare = named[0] === 'input' && named.length > 1 ? named.slice(1) : named;
  return bare.length === 0 ? undefined : bare.join('.');
}

const isUseOf = (node: ASTNode, variable: string): boolean =>
  node.kind === Kind.VARIABLE && node.name.value === variable;

/** Argument and field names and list positions down to the first node that matches. */
function pathTo(source: Source, matches: (node: ASTNode) => boolean, fallback: string[]): string[] {
  const path: string[] = [];
  let found: string[] | undefined;
  visit(documentOf(source), {
    VariableDefinition: () => false,
    enter(node, key, parent) {
      if (found !== undefined) return false;
      const inList = Array.isArray(parent) && typeof key === 'number' && isListItem(node.kind);
      if (node.kind === Kind.ARGUMENT || node.kind === Kind.OBJECT_FIELD) path.push(node.name.value);
      else if (inList) path.push(String(key));
      if (matches(node)) found = [...path];
      return undefined;
    },
    leave(node, key, parent) {
      if (node.kind === Kind.ARGUMENT || node.kind === Kind.OBJECT_FIELD) path.pop();
      else if (Array.isArray(parent) && typeof key === 'number' && isListItem(node.kind)) path.pop();
    },
  });
  return found ?? fallback;
}

const LIST_ITEMS: ReadonlySet<string> = new Set([
  Kind.VARIABLE,
  Kind.INT,
  Kind.FLOAT,
  Kind.STRING,
  Kind.BOOLEAN,
  Kind.NULL,
  Kind.ENUM,
  Kind.LIST,
  Kind.OBJECT,
]);
/** Values stand in an array only inside a list literal. */
const isListItem = (kind: string): boolean => LIST_ITEMS.has(kind);

function documentOf(source: Source): DocumentNode {
  const known = documents.get(source);
  if (known !== undefined) return known;
  const document = parse(source);
  documents.set(source, document);
  return document;
}

/** `… got invalid value 1.5 at "input.items[0].quantity"; reason` is `['items', '0', 'quantity']`. */
function pathInVariable({ message, originalError }: GraphQLError): string[] {
  // The value is the client's text and may look like anything, so the reason is cut off by its known length.
  const head =
    originalError !== undefined && message.endsWith(`; ${originalError.message}`)
      ? message.slice(0, -originalError.message.length - 2)
      : message;
  const path = / at "([^"]*)"$/.exec(head)?.[1] ?? '';
  return path
    .split(/[.[\]]+/)
    .filter((part) => part !== '')
    .slice(1);
}

/** A field or argument that is missing, or unknown in a variable, is named in the message only. */
function missingName({ message, originalError, nodes }: GraphQLError): string[] {
  // An unknown field in a literal is the node itself, and the path ends with it already.
  if (nodes?.[0]?.kind === Kind.OBJECT_FIELD) return [];
  const name =
    /Field "(?:\w+\.)?(\w+)" of required type "[^"]*" was not provided\.$/.exec(message)?.[1] ??
    / argument "(\w+)" of type "[^"]*" is required, but it was not provided\.$/.exec(message)?.[1] ??
    /^Field "(\w+)" is not defined by type "/.exec(originalError?.message ?? '')?.[1];
  return name === undefined ? [] : [name];
}
