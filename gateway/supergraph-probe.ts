import {
  getNamedType,
  isCompositeType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  Kind,
  OperationTypeNode,
  parseType,
  specifiedRules,
  validate,
  type DocumentNode,
  type FieldNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  type NameNode,
  type SelectionNode,
  type VariableDefinitionNode,
} from 'graphql';

/** How far a probe goes from a root field: far enough for a jump from one subgraph to another and on from there. */
const DEPTH = 3;

/** Fields of objects that a probe asks for on each level; planning gets dear with more. */
const OBJECT_FIELDS = 12;

/** What can be planned, and can fail to be. */
export interface Plannable {
  readonly schema: GraphQLSchema;
  plan(document: DocumentNode): unknown;
}

/** An operation for every root field, with the fields that need no arguments. All of them are valid. */
export function* probes(schema: GraphQLSchema): Generator<{ readonly name: string; readonly document: DocumentNode }> {
  for (const operation of [OperationTypeNode.QUERY, OperationTypeNode.MUTATION, OperationTypeNode.SUBSCRIPTION]) {
    const root = schema.getRootType(operation);
    for (const field of Object.values(root?.getFields() ?? {})) {
      yield { name: `${root?.name}.${field.name}`, document: documentOf(operation, field) };
    }
  }
}

/**
 * Plans an operation for every root field, and lets other work go on in between.
 * @throws Error naming the field that cannot be planned, and why
 */
export async function probe(candidate: Plannable): Promise<void> {
  for (const { name, document } of probes(candidate.schema)) {
    await new Promise((resolve) => setImmediate(resolve));
    try {
      const [invalid] = validate(candidate.schema, document, specifiedRules, { maxErrors: 1 });
      if (invalid !== undefined) throw invalid;
      candidate.plan(document);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`${name} cannot be planned: ${why}`, { cause: error });
    }
  }
}

const name = (value: string): NameNode => ({ kind: Kind.NAME, value });

function documentOf(operation: OperationTypeNode, field: GraphQLField<unknown, unknown>): DocumentNode {
  const required = field.args.filter(isRequiredArgument);
  const variableDefinitions = required.map((argument): VariableDefinitionNode => ({
    kind: Kind.VARIABLE_DEFINITION,
    variable: { kind: Kind.VARIABLE, name: name(argument.name) },
    type: parseType(String(argument.type)),
  }));
  const root: FieldNode = {
    ...selectionOf(field, DEPTH),
    arguments: required.map((argument) => ({
      kind: Kind.ARGUMENT,
      name: name(argument.name),
      value: { kind: Kind.VARIABLE, name: name(argument.name) },
    })),
  };
  return {
    kind: Kind.DOCUMENT,
    definitions: [
      {
        kind: Kind.OPERATION_DEFINITION,
        operation,
        variableDefinitions,
        selectionSet: { kind: Kind.SELECTION_SET, selections: [root] },
      },
    ],
  };
}

function selectionOf(field: GraphQLField<unknown, unknown>, depth: number): FieldNode {
  const type = getNamedType(field.type);
  return {
    kind: Kind.FIELD,
    name: name(field.name),
    ...(isCompositeType(type) && {
      selectionSet: { kind: Kind.SELECTION_SET, selections: selectionsIn(type, depth - 1) },
    }),
  };
}

/** All leaves, and objects as far as they go. Interfaces and unions are asked for their type: which one is not known here. */
function selectionsIn(type: GraphQLNamedType, depth: number): SelectionNode[] {
  const selections: SelectionNode[] = [{ kind: Kind.FIELD, name: name('__typename') }];
  if (!isObjectType(type)) return selections;
  const free = Object.values(type.getFields()).filter((field) => !field.args.some(isRequiredArgument));
  const leaves = free.filter((field) => isLeafType(getNamedType(field.type)));
  const objects = free.filter((field) => isCompositeType(getNamedType(field.type)));
  selections.push(...leaves.map((field) => selectionOf(field, depth)));
  if (depth > 0) selections.push(...objects.slice(0, OBJECT_FIELDS).map((field) => selectionOf(field, depth)));
  return selections;
}
