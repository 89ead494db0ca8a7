import { buildOperationContext } from '@apollo/gateway';
import {
  getNamedType,
  getNullableType,
  GraphQLError,
  GraphQLString,
  isObjectType,
  Kind,
  parse,
  print,
  specifiedRules,
  TypeInfo,
  validate,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type FieldNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';
import { MAX_VALIDATION_ERRORS } from '../apollo.js';
import type { OperationContext, QueryPlan, SchemaVersion } from '../federation.js';

/**
 * How a stream goes on when its upstream was lost or the client fell behind.
 * - `cursor`: from the last cursor; nothing is lost and nothing comes twice.
 * - `latest`: a slow client gets the newest event only; one whose upstream was lost is told.
 * - `none`: the client is told in both cases.
 */
export type Resumption = 'cursor' | 'latest' | 'none';

/** Name under which the event travels through the gateway's executor, in place of the owning subgraph. */
export const PRIMARY = '__primary';

/** Alias of the cursor that the gateway asks for besides what the client wants. */
const CURSOR_ALIAS = 'tributary_cursor';
const AFTER_VARIABLE = 'tributary_after';

export interface SubscriptionPlan {
  /** Tells plans apart. */
  readonly id: number;
  /** What it was made for, and is run on, whatever is served meanwhile. */
  readonly version: SchemaVersion;
  /** The subgraph that owns the root field. */
  readonly subgraph: string;
  /** Name of the root field in the schema. */
  readonly field: string;
  readonly resumption: Resumption;
  /** What is sent to the owning subgraph. */
  readonly upstream: {
    readonly query: string;
    readonly operationName: string | undefined;
    /** Variables it takes, of those the client sent. */
    readonly variables: readonly string[];
  };
  /** The client's own `after`, if it gave one. */
  readonly after: ValueNode | undefined;
  /** Variables that a result depends on: all that are used, but for the `after` of the root field. */
  readonly resultVariables: readonly string[];
  /** Under which name the client asked for the root field. */
  readonly responseName: string;
  /** What is run for every event, the event being the answer of the first fetch. */
  readonly perEvent: QueryPlan;
  readonly operation: OperationContext;
}

/** The cursor of an event, where the subgraph sent one. Takes it out: the client did not ask for it. */
export function takeCursor({ resumption, responseName }: SubscriptionPlan, data: unknown): string | undefined {
  if (resumption !== 'cursor') return undefined;
  const root = (data as Record<string, Record<string, unknown> | null> | null | undefined)?.[responseName];
  if (root == null) return undefined;
  const { [CURSOR_ALIAS]: cursor } = root;
  Reflect.deleteProperty(root, CURSOR_ALIAS);
  return typeof cursor === 'string' ? cursor : undefined;
}

/** The variables of the upstream operation, to begin behind that cursor. */
export function upstreamVariables(
  { upstream, resumption }: SubscriptionPlan,
  variables: Readonly<Record<string, unknown>>,
  after: string | undefined,
): Record<string, unknown> {
  return {
    ...picked(upstream.variables, variables),
    ...(resumption === 'cursor' && after !== undefined && { [AFTER_VARIABLE]: after }),
  };
}

/** The same for operations to which every event has the same result. */
export const resultKey = (
  { id, resultVariables }: SubscriptionPlan,
  variables: Readonly<Record<string, unknown>>,
): string => `${id} ${JSON.stringify(picked(resultVariables, variables))}`;

function picked(names: readonly string[], variables: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = names.filter((name) => variables[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, variables[name]]));
}

/** Plans subscriptions, each document once for each version of the schema. */
export class SubscriptionPlanner {
  private readonly latestValue: ReadonlySet<string>;
  private readonly plans = new WeakMap<SchemaVersion, WeakMap<DocumentNode, Map<string, SubscriptionPlan>>>();
  private made = 0;

  /**
   * @param latestValue root fields of which only the newest event counts
   * @param suggestions whether errors may name what was perhaps meant
   */
  constructor(
    latestValue: ReadonlySet<string>,
    readonly suggestions = true,
  ) {
    this.latestValue = latestValue;
  }

  /** The plan, or what is wrong with the subscription. */
  plan(
    version: SchemaVersion,
    document: DocumentNode,
    operationName: string | null | undefined,
  ): SubscriptionPlan | readonly GraphQLError[] {
    const plans = this.plansOf(version, document);
    const name = operationName ?? '';
    const known = plans.get(name);
    if (known !== undefined) return known;
    const { schema } = version;
    const incremental = incrementalDelivery(document);
    if (incremental !== undefined) return [incremental];
    const errors = validate(schema, document, specifiedRules, {
      maxErrors: MAX_VALIDATION_ERRORS,
      hideSuggestions: !this.suggestions,
    });
    if (errors.length > 0) {
      return errors.map((error) => withCode(error, 'GRAPHQL_VALIDATION_FAILED'));
    }
    const operation = buildOperationContext({
      schema,
      operationDocument: document,
      ...(operationName != null && { operationName }),
    });
    const conditional = conditionalRoot(operation);
    if (conditional !== undefined) return [conditional];
    const plan = this.make(version, document, operationName, operation);
    plans.set(name, plan);
    return plan;
  }

  private plansOf(version: SchemaVersion, document: DocumentNode): Map<string, SubscriptionPlan> {
    const ofVersion = this.plans.get(version) ?? new WeakMap<DocumentNode, Map<string, SubscriptionPlan>>();
    this.plans.set(version, ofVersion);
    const plans = ofVersion.get(document) ?? new Map<string, SubscriptionPlan>();
    ofVersion.set(document, plans);
    return plans;
  }

  private make(
    version: SchemaVersion,
    document: DocumentNode,
    operationName: string | null | undefined,
    operation: OperationContext,
  ): SubscriptionPlan {
    const { node } = version.plan(document, operationName);
    if (node?.kind !== 'Subscription') throw new Error(`Expected a plan for a subscription, not ${node?.kind}.`);
    const { primary, rest } = node;
    const asPrimary = { ...primary, serviceName: PRIMARY };
    const upstreamDocument = parse(primary.operation);
    const root = rootField(upstreamDocument);
    const resumption = this.latestValue.has(root.name.value)
      ? 'latest'
      : isResumable(version.schema, root.name.value)
        ? 'cursor'
        : 'none';
    return {
      id: ++this.made,
      version,
      subgraph: primary.serviceName,
      field: root.name.value,
      resumption,
      upstream: {
        operationName: primary.operationName,
        ...(resumption === 'cursor'
          ? resumable(upstreamDocument)
          : { query: primary.operation, variables: primary.variableUsages ?? [] }),
      },
      after: root.arguments?.find(({ name }) => name.value === 'after')?.value,
      resultVariables: resultVariables(version.schema, document, resumption),
      responseName: root.alias?.value ?? root.name.value,
      perEvent: {
        kind: 'QueryPlan',
        node: { kind: 'Sequence', nodes: rest === undefined ? [asPrimary] : [asPrimary, rest] },
      },
      operation,
    };
  }
}

const withCode = (error: GraphQLError, code: string): GraphQLError =>
  new GraphQLError(error.message, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    originalError: error.originalError ?? null,
    extensions: { code },
  });

/** A stream sends whole events, one by one; there is nothing that could come later. */
function incrementalDelivery(document: DocumentNode): GraphQLError | undefined {
  let refusal: GraphQLError | undefined;
  visit(document, {
    Directive: (node) => {
      const { value } = node.name;
      if (value !== 'defer' && value !== 'stream') return;
      refusal ??= new GraphQLError(`@${value} is not served: every event of a subscription arrives whole.`, {
        nodes: node,
        extensions: { code: 'VALIDATION' },
      });
    },
  });
  return refusal;
}

/** The next GraphQL specification forbids it, and nothing sensible could be subscribed to if the field were left out. */
function conditionalRoot({ operation, fragments }: OperationContext): GraphQLError | undefined {
  const isConditional = ({ selections }: SelectionSetNode): boolean =>
    selections.some(
      (selection) =>
        selection.directives?.some(({ name }) => name.value === 'skip' || name.value === 'include') === true ||
        (selection.kind === Kind.INLINE_FRAGMENT && isConditional(selection.selectionSet)) ||
        (selection.kind === Kind.FRAGMENT_SPREAD && isConditional(fragmentOf(fragments, selection.name.value))),
    );
  if (!isConditional(operation.selectionSet)) return undefined;
  return new GraphQLError('The root field of a subscription takes neither @skip nor @include.', {
    nodes: operation,
    extensions: { code: 'VALIDATION' },
  });
}

function fragmentOf(fragments: OperationContext['fragments'], name: string): SelectionSetNode {
  const fragment = fragments[name];
  if (fragment === undefined) throw new Error(`Validation let an unknown fragment ${name} pass.`);
  return fragment.selectionSet;
}

function operationOf(document: DocumentNode): OperationDefinitionNode {
  const operation = document.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined) throw new Error('The planner made a document without an operation.');
  return operation;
}

function rootField(document: DocumentNode): FieldNode {
  const [root, ...others] = operationOf(document).selectionSet.selections;
  if (root?.kind !== Kind.FIELD || others.length > 0) throw new Error('The planner made more than one root field.');
  return root;
}

/** Takes `after` and gives a `cursor`: the convention of every stream here that can be resumed. */
function isResumable(schema: GraphQLSchema, name: string): boolean {
  const field = schema.getSubscriptionType()?.getFields()[name];
  const after = field?.args.find((argument) => argument.name === 'after');
  const type = field === undefined ? undefined : getNamedType(field.type);
  if (after?.type !== GraphQLString || !isObjectType(type)) return false;
  const cursor = type.getFields()['cursor'];
  return cursor !== undefined && getNullableType(cursor.type) === GraphQLString;
}

/** The operation with its cursor asked for and `after` a variable of ours. */
function resumable(document: DocumentNode): { query: string; variables: readonly string[] } {
  const operation = operationOf(document);
  const root = rootField(document);
  const name = (value: string) => ({ kind: Kind.NAME, value }) as const;
  const after = { kind: Kind.VARIABLE, name: name(AFTER_VARIABLE) } as const;
  const field: FieldNode = {
    ...root,
    arguments: [
      ...(root.arguments ?? []).filter((argument) => argument.name.value !== 'after'),
      { kind: Kind.ARGUMENT, name: name('after'), value: after },
    ],
    selectionSet: {
      kind: Kind.SELECTION_SET,
      selections: [
        ...(root.selectionSet?.selections ?? []),
        { kind: Kind.FIELD, name: name('cursor'), alias: name(CURSOR_ALIAS) },
      ],
    },
  };
  const rewritten: OperationDefinitionNode = {
    ...operation,
    selectionSet: { kind: Kind.SELECTION_SET, selections: [field] },
  };
  const others = document.definitions.filter((definition) => definition !== operation);
  // The client's variable for `after` may be used no longer, and subgraphs refuse unused ones.
  const used = usedVariables({ kind: Kind.DOCUMENT, definitions: [rewritten, ...others] });
  const kept = (operation.variableDefinitions ?? []).filter(({ variable }) => used.has(variable.name.value));
  const complete: OperationDefinitionNode = {
    ...rewritten,
    variableDefinitions: [
      ...kept,
      {
        kind: Kind.VARIABLE_DEFINITION,
        variable: after,
        type: { kind: Kind.NAMED_TYPE, name: name('String') },
      },
    ],
  };
  return {
    query: print({ kind: Kind.DOCUMENT, definitions: [complete, ...others] }),
    variables: kept.map(({ variable }) => variable.name.value),
  };
}

function resultVariables(schema: GraphQLSchema, document: DocumentNode, resumption: Resumption): readonly string[] {
  const used = new Set<string>();
  const types = new TypeInfo(schema);
  const isRoot = () => types.getParentType() === schema.getSubscriptionType();
  visit(
    document,
    visitWithTypeInfo(types, {
      VariableDefinition: () => false,
      Argument: ({ name }) => (resumption === 'cursor' && name.value === 'after' && isRoot() ? false : undefined),
      Variable: ({ name }) => {
        used.add(name.value);
      },
    }),
  );
  return [...used].sort();
}

function usedVariables(document: DocumentNode): ReadonlySet<string> {
  const used = new Set<string>();
  visit(document, {
    VariableDefinition: () => false,
    Variable: ({ name }) => {
      used.add(name.value);
    },
  });
  return used;
}
