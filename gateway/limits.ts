import {
  BREAK,
  GraphQLError,
  Kind,
  visit,
  type DocumentNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** What a request may ask for. Whatever is above is refused before it is validated or planned. */
export const LIMITS = {
  /** Of an HTTP body or a WebSocket message. */
  bodyBytes: 1_048_576,
  /** Lexer tokens; a full introspection query has 184. */
  tokens: 2_000,
  /** Nested fields, fragments unfolded; a full introspection query has 15. */
  depth: 16,
  /** Aliased fields, fragments unfolded. */
  aliases: 50,
  /** Directives, fragments unfolded. */
  directives: 50,
  /** Fields of Query, Mutation or Subscription, fragments unfolded. */
  rootFields: 20,
  /** All fields, fragments unfolded; a full introspection query has 230. */
  fields: 1_000,
  /** Lists and objects in the variables, one in another, the variables themselves included. */
  variablesDepth: 32,
} as const;

/** A document that keeps the limits. */
export interface MeasuredDocument {
  readonly document: DocumentNode;
  /** Whether it asks about the schema itself. */
  readonly introspects: boolean;
  /** Fields of Query, Mutation or Subscription that each operation asks for, fragments unfolded. */
  readonly rootFields: ReadonlyMap<OperationDefinitionNode, number>;
}

/** @throws GraphQLError naming the first limit that the document goes over. Linear in it, however its fragments nest. */
export function measure(document: DocumentNode): MeasuredDocument {
  const rootFields = rootFieldsWithinLimits(document);
  let introspects = false;
  visit(document, {
    Field: ({ name: { value } }) => {
      if (value !== '__schema' && value !== '__type') return undefined;
      introspects = true;
      return BREAK;
    },
  });
  return { document, introspects, rootFields };
}

interface Size {
  readonly depth: number;
  readonly aliases: number;
  readonly directives: number;
  readonly fields: number;
}

const EMPTY: Size = { depth: 0, aliases: 0, directives: 0, fields: 0 };

/** @throws GraphQLError as above */
function rootFieldsWithinLimits(document: DocumentNode): Map<OperationDefinitionNode, number> {
  const fragments = new Map<string, SelectionSetNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition.selectionSet);
  }
  // A fragment is EMPTY while it is being measured, so that cycles end here; validation refuses them by name.
  const measured = new Map<string, Size>();
  const roots = new Map<string, number>();

  const fragmentSize = (name: string): Size => {
    const known = measured.get(name);
    if (known !== undefined) return known;
    measured.set(name, EMPTY);
    const selectionSet = fragments.get(name);
    const size = selectionSet === undefined ? EMPTY : sizeOf(selectionSet);
    measured.set(name, size);
    return size;
  };

  const sizeOf = ({ selections }: SelectionSetNode): Size => {
    let depth = 0;
    let aliases = 0;
    let directives = 0;
    let fields = 0;
    for (const selection of selections) {
      const inner =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? fragmentSize(selection.name.value)
          : selection.selectionSet === undefined
            ? EMPTY
            : sizeOf(selection.selectionSet);
      const own = selection.kind === Kind.FIELD ? 1 : 0;
      depth = Math.max(depth, inner.depth + own);
      fields += inner.fields + own;
      directives += inner.directives + (selection.directives?.length ?? 0);
      aliases += inner.aliases + (selection.kind === Kind.FIELD && selection.alias !== undefined ? 1 : 0);
    }
    return { depth, aliases, directives, fields };
  };

  const rootFields = ({ selections }: SelectionSetNode): number => {
    let count = 0;
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) count++;
      else if (selection.kind === Kind.INLINE_FRAGMENT) count += rootFields(selection.selectionSet);
      else count += rootsOfFragment(selection.name.value);
    }
    return count;
  };

  const rootsOfFragment = (name: string): number => {
    const known = roots.get(name);
    if (known !== undefined) return known;
    roots.set(name, 0);
    const selectionSet = fragments.get(name);
    const count = selectionSet === undefined ? 0 : rootFields(selectionSet);
    roots.set(name, count);
    return count;
  };

  const found = new Map<OperationDefinitionNode, number>();
  const outer = directivesOutside(document);
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const { depth, aliases, directives, fields } = sizeOf(definition.selectionSet);
    if (depth > LIMITS.depth) throw refusal(`is nested ${depth} levels deep; ${LIMITS.depth} are allowed`);
    if (aliases > LIMITS.aliases) throw refusal(`has ${aliases} aliases; ${LIMITS.aliases} are allowed`);
    if (directives + outer > LIMITS.directives) {
      throw refusal(`has ${directives + outer} directives; ${LIMITS.directives} are allowed`);
    }
    if (fields > LIMITS.fields) throw refusal(`has ${fields} fields; ${LIMITS.fields} are allowed`);
    const count = rootFields(definition.selectionSet);
    if (count > LIMITS.rootFields) throw refusal(`has ${count} root fields; ${LIMITS.rootFields} are allowed`);
    found.set(definition, count);
  }
  return found;
}

/** Directives of the operations, of their variables and of the fragments themselves. */
function directivesOutside({ definitions }: DocumentNode): number {
  let count = 0;
  for (const definition of definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION && definition.kind !== Kind.FRAGMENT_DEFINITION) continue;
    count += definition.directives?.length ?? 0;
    if (definition.kind === Kind.FRAGMENT_DEFINITION) continue;
    for (const variable of definition.variableDefinitions ?? []) count += variable.directives?.length ?? 0;
  }
  return count;
}

/**
 * The refusal of variables that are nested too deep, or undefined. Level by level: whatever goes down by recursion, as
 * JSON.stringify does on the way to a subgraph, is what they would overflow.
 */
export function variablesOverLimit(variables: unknown): GraphQLError | undefined {
  let level = [variables].filter(isNested);
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > LIMITS.variablesDepth) return refusal(`has variables over ${LIMITS.variablesDepth} levels deep`);
    level = level.flatMap((value) => Object.values(value).filter(isNested));
  }
  return undefined;
}

const isNested = (value: unknown): value is object => typeof value === 'object' && value !== null;

const refusal = (what: string): GraphQLError =>
  new GraphQLError(`The operation ${what}.`, { extensions: { code: 'VALIDATION' } });
