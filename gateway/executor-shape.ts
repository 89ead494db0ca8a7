/**
 * The client's answer made from what the subgraphs sent: the fields that it asked for, under its names and in its order,
 * with nulls where GraphQL puts them. What GraphQL forbids, a null where none may be or a value of another type, is a
 * gap: it becomes null, or makes null what it is in, as in the specification's "Handling Field Errors".
 */
import {
  getDirectiveValues,
  getNullableType,
  GraphQLBoolean,
  GraphQLError,
  GraphQLFloat,
  GraphQLID,
  GraphQLIncludeDirective,
  GraphQLInt,
  GraphQLSkipDirective,
  GraphQLString,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLLeafType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { isObject, own, setOwn, type JsonObject, type Path } from './executor-data.js';

/** So many gaps of one answer are told. */
const MAX_GAPS = 10;

/** Makes the value of a field of the client's answer from what subgraphs sent for it. */
type Complete = (value: unknown, answer: Answer) => unknown;

/** Stands for a null that a gap below has made: where it may be, it is null, else what it is in becomes it. */
const NULLED = Symbol('nulled');

/** One answer while it is made. */
class Answer {
  readonly path: (string | number)[] = [];
  readonly gaps: GraphQLError[] = [];

  gap(what: string): typeof NULLED {
    if (this.gaps.length < MAX_GAPS) this.gaps.push(new GraphQLError(what, { path: [...this.path] }));
    return NULLED;
  }
}

export interface Shaped {
  readonly data: JsonObject | null;
  /** Errors for what subgraphs left out or got wrong, with their places; ten at most. */
  readonly gaps: readonly GraphQLError[];
}

/** The shape of an operation's answer, for given values of the variables in its `@skip`s and `@include`s. */
export class Shape {
  private readonly schema: GraphQLSchema;
  private readonly fragments: Readonly<Record<string, FragmentDefinitionNode>>;
  private readonly variables: Readonly<Record<string, unknown>>;
  private readonly root: Complete;

  /** @throws GraphQLError when the variable of a condition is not a Boolean */
  constructor(
    schema: GraphQLSchema,
    rootType: GraphQLCompositeType,
    selectionSet: SelectionSetNode,
    fragments: Readonly<Record<string, FragmentDefinitionNode>>,
    variables: Readonly<Record<string, unknown>>,
  ) {
    this.schema = schema;
    this.fragments = fragments;
    this.variables = variables;
    this.root = this.completeObject(rootType, [selectionSet]);
  }

  of(data: JsonObject): Shaped {
    const answer = new Answer();
    const shaped = this.root(data, answer);
    return { data: isObject(shaped) ? shaped : null, gaps: answer.gaps };
  }

  private complete(type: GraphQLOutputType, selections: readonly SelectionSetNode[]): Complete {
    const inner = this.completeNullable(getNullableType(type), selections);
    if (!isNonNullType(type)) {
      return (value, answer) => {
        const completed = inner(value, answer);
        return completed === NULLED ? null : completed;
      };
    }
    return (value, answer) => inner(value, answer) ?? answer.gap(`${String(type)} must not be null.`);
  }

  private completeNullable(type: GraphQLOutputType, selections: readonly SelectionSetNode[]): Complete {
    if (isListType(type)) return completeList(this.complete(type.ofType, selections));
    if (isCompositeType(type)) return this.completeObject(type, selections);
    return completeLeaf(type);
  }

  /** Fields are looked up when the first object of a type arrives: most types of a union never do. */
  private completeObject(type: GraphQLCompositeType, selections: readonly SelectionSetNode[]): Complete {
    const known = new Map<unknown, CompleteFields | undefined>();
    const fieldsOf = (typename: unknown): CompleteFields | undefined => {
      if (known.has(typename)) return known.get(typename);
      const actual = this.actualType(type, typename);
      const fields = actual && this.completeFields(actual, selections);
      // Names come from subgraphs: only those of the schema are remembered.
      if (fields !== undefined) known.set(typename, fields);
      return fields;
    };
    const abstract = isAbstractType(type);
    return (value, answer) => {
      if (value == null) return null;
      if (!isObject(value)) return answer.gap(`${type.name} must be an object.`);
      const fields = fieldsOf(abstract ? value['__typename'] : type.name);
      return fields === undefined ? answer.gap(`This is no ${type.name} that clients may see.`) : fields(value, answer);
    };
  }

  /** The abstract type itself when the subgraph did not say, or knows it as an object. */
  private actualType(type: GraphQLCompositeType, typename: unknown): GraphQLCompositeType | undefined {
    if (typename === undefined || typename === type.name) return type;
    if (!isAbstractType(type) || typeof typename !== 'string') return undefined;
    const actual = this.schema.getType(typename);
    return isCompositeType(actual) && (isObjectType(actual) || 'getInterfaces' in actual)
      ? this.schema.isSubType(type, actual)
        ? actual
        : undefined
      : undefined;
  }

  private completeFields(type: GraphQLCompositeType, selections: readonly SelectionSetNode[]): CompleteFields {
    const grouped = new Map<string, FieldNode[]>();
    for (const { selections: nodes } of selections) this.collect(type, nodes, grouped, new Set());
    const fields = [...grouped].map(([name, nodes]) => ({ name, complete: this.completeField(type, nodes) }));
    return (object, answer) => {
      const result: JsonObject = {};
      for (const { name, complete } of fields) {
        answer.path.push(name);
        const completed = complete(own(object, name), answer);
        answer.path.pop();
        if (completed === NULLED) return NULLED;
        setOwn(result, name, completed);
      }
      return result;
    };
  }

  private completeField(type: GraphQLCompositeType, nodes: readonly FieldNode[]): Complete {
    const name = nodes[0]?.name.value ?? '';
    if (name === '__typename') {
      return (_, answer) => (isObjectType(type) ? type.name : answer.gap(`A subgraph did not say which ${type.name}.`));
    }
    // Questions about the schema: the executor has put their answers into the data.
    if (name.startsWith('__')) return (value) => value ?? null;
    const field = 'getFields' in type ? type.getFields()[name] : undefined;
    if (field === undefined) throw new Error(`Validation let an unknown field pass: ${type.name}.${name}.`);
    return this.complete(
      field.type,
      nodes.flatMap(({ selectionSet }) => selectionSet ?? []),
    );
  }

  /** CollectFields of the specification. */
  private collect(
    type: GraphQLCompositeType,
    selections: readonly SelectionNode[],
    into: Map<string, FieldNode[]>,
    visited: Set<string>,
  ): void {
    for (const selection of selections) {
      if (!this.isIncluded(selection)) continue;
      if (selection.kind === Kind.FIELD) {
        const name = selection.alias?.value ?? selection.name.value;
        const nodes = into.get(name);
        if (nodes === undefined) into.set(name, [selection]);
        else nodes.push(selection);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const { typeCondition, selectionSet } = selection;
        if (this.applies(typeCondition?.name.value, type)) this.collect(type, selectionSet.selections, into, visited);
      } else {
        const fragment = this.fragments[selection.name.value];
        if (fragment === undefined || visited.has(selection.name.value)) continue;
        visited.add(selection.name.value);
        const { typeCondition, selectionSet } = fragment;
        if (this.applies(typeCondition.name.value, type)) this.collect(type, selectionSet.selections, into, visited);
      }
    }
  }

  private isIncluded(selection: SelectionNode): boolean {
    if (selection.directives === undefined || selection.directives.length === 0) return true;
    const skip = getDirectiveValues(GraphQLSkipDirective, selection, this.variables);
    const include = getDirectiveValues(GraphQLIncludeDirective, selection, this.variables);
    return skip?.['if'] !== true && include?.['if'] !== false;
  }

  private applies(condition: string | undefined, type: GraphQLCompositeType): boolean {
    if (condition === undefined || condition === type.name) return true;
    const wanted = this.schema.getType(condition);
    return isAbstractType(wanted) && !('getTypes' in type) && this.schema.isSubType(wanted, type);
  }
}

type CompleteFields = (object: JsonObject, answer: Answer) => JsonObject | typeof NULLED;

const completeList =
  (item: Complete): Complete =>
  (value, answer) => {
    if (value == null) return null;
    if (!Array.isArray(value)) return answer.gap('This must be a list.');
    const result: unknown[] = [];
    for (const [index, one] of (value as unknown[]).entries()) {
      answer.path.push(index);
      const completed = item(one, answer);
      answer.path.pop();
      if (completed === NULLED) return NULLED;
      result.push(completed);
    }
    return result;
  };

function completeLeaf(type: GraphQLLeafType): Complete {
  const isValid = leafCheck(type);
  return (value, answer) => {
    if (value == null) return null;
    return isValid(value) ? value : answer.gap(`This is no value of ${type.name}.`);
  };
}

/** Values pass as their subgraph wrote them; of custom scalars only the subgraphs know what is right. */
function leafCheck(type: GraphQLLeafType): (value: unknown) => boolean {
  if (isEnumType(type)) return (value) => typeof value === 'string' && type.getValue(value) !== undefined;
  switch (type.name) {
    case GraphQLBoolean.name:
      return (value) => typeof value === 'boolean';
    case GraphQLInt.name:
      return Number.isInteger;
    case GraphQLFloat.name:
      return (value) => typeof value === 'number';
    case GraphQLString.name:
      return (value) => typeof value === 'string';
    case GraphQLID.name:
      return (value) => typeof value === 'string' || Number.isInteger(value);
    default:
      return () => true;
  }
}

/** An error says why a place is null when it is about that place, one in it or one around it. */
export const explains = ({ path }: GraphQLError, place: Path): boolean =>
  path === undefined || path.every((element, depth) => depth >= place.length || place[depth] === element);
