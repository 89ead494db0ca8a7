/**
 * Runs the plans of Apollo's query planner: asks the subgraphs in the order of the plan, puts together what they answer,
 * and shapes the client's answer. Everything that does not depend on variables is worked out once for each plan.
 */
import type { QueryPlan, PlanNode } from '@apollo/query-planner';
import {
  executeSync,
  GraphQLError,
  Kind,
  visit,
  type ASTNode,
  type DocumentNode,
  type ExecutionResult,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import type { GatewayContext } from './context.js';
import { TypeConditions, type Path } from './executor-data.js';
import { Fetch, type GraphQLDataSource, type Run, type Step } from './executor-fetch.js';
import { explains, Shape } from './executor-shape.js';

export type { GraphQLDataSource, SubgraphAnswer, SubgraphError, SubgraphRequest } from './executor-fetch.js';

/** An operation that is valid, with the fragments it uses. */
export interface OperationContext {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode>>;
}

/** Shapes kept of one operation: it has one for each way in which its conditions can turn out. */
const MAX_SHAPES = 16;

/** Runs plans over one supergraph. */
export class Executor {
  private readonly types: TypeConditions;
  private readonly executions = new WeakMap<QueryPlan, Execution>();

  constructor(supergraphSchema: GraphQLSchema) {
    this.types = new TypeConditions(supergraphSchema);
  }

  /**
   * Runs a plan of the operation. Rejects only for what is wrong with the gateway itself: what goes wrong with a subgraph
   * is among the errors, each with its path in the client's answer where it has one. `data` is what GraphQL makes of the
   * rest; a null that it forbids and no error explains has an error of its own.
   * @param variables as the client sent them, already found to be in order
   */
  run(
    plan: QueryPlan,
    sources: Readonly<Record<string, GraphQLDataSource>>,
    operation: OperationContext,
    variables: Readonly<Record<string, unknown>>,
    context: GatewayContext,
  ): Promise<ExecutionResult> {
    let execution = this.executions.get(plan);
    if (execution === undefined) this.executions.set(plan, (execution = new Execution(plan, operation, this.types)));
    return execution.run(sources, variables, context);
  }
}

/** A plan made ready to run. */
class Execution {
  private readonly operation: OperationContext;
  private readonly step: Step;
  /** Names of the variables in `@skip` and `@include`. */
  private readonly conditions: readonly string[];
  private readonly introspection: DocumentNode | undefined;
  private readonly shapes = new Map<string, Shape>();

  constructor(plan: QueryPlan, operation: OperationContext, types: TypeConditions) {
    this.operation = operation;
    this.conditions = conditionsOf(operation);
    this.introspection = introspectionOf(operation);
    const fetches: Fetch[] = [];
    if (plan.node?.kind === 'Subscription') throw new Error('A subscription is opened, not run.');
    this.step = plan.node === undefined ? () => Promise.resolve() : compile(plan.node, [], types, fetches);
    shareIdentical(fetches);
  }

  async run(sources: Run['sources'], variables: Run['variables'], context: GatewayContext): Promise<ExecutionResult> {
    const conditions = this.conditionsIn(variables);
    if (conditions instanceof GraphQLError) return { errors: [conditions] };
    const run: Run = { sources, variables, conditions, context, data: {}, errors: [], inFlight: new Map() };
    await this.step(run);
    if (this.introspection !== undefined) this.introspect(this.introspection, run);
    const { data, gaps } = this.shapeFor(conditions).of(run.data);
    const { errors } = run;
    const unexplained = gaps.filter(({ path = [] }) => !errors.some((error) => explains(error, path)));
    const all = unexplained.length === 0 ? errors : [...errors, ...unexplained];
    return all.length === 0 ? { data } : { errors: all, data };
  }

  private conditionsIn(variables: Run['variables']): Run['conditions'] | GraphQLError {
    const values: Record<string, boolean> = {};
    for (const name of this.conditions) {
      const definition = this.operation.operation.variableDefinitions?.find(
        ({ variable }) => variable.name.value === name,
      );
      const { defaultValue } = definition ?? {};
      const value = variables[name] ?? (defaultValue?.kind === Kind.BOOLEAN ? defaultValue.value : undefined);
      if (typeof value !== 'boolean') {
        const extensions = { code: 'BAD_USER_INPUT' };
        return new GraphQLError(`Variable "$${name}" must be true or false here.`, { extensions });
      }
      values[name] = value;
    }
    return values;
  }

  private shapeFor(conditions: Run['conditions']): Shape {
    const key = Object.values(conditions).join();
    const known = this.shapes.get(key);
    if (known !== undefined) return known;
    const { schema, operation, fragments } = this.operation;
    const rootType = schema.getRootType(operation.operation);
    if (rootType == null) throw new Error(`The schema has no ${operation.operation}.`);
    const shape = new Shape(schema, rootType, operation.selectionSet, fragments, conditions);
    this.shapes.set(key, shape);
    if (this.shapes.size > MAX_SHAPES) this.shapes.delete(this.shapes.keys().next().value ?? '');
    return shape;
  }

  private introspect(document: DocumentNode, { data, errors, variables }: Run): void {
    const result = executeSync({ schema: this.operation.schema, document, variableValues: variables });
    Object.assign(data, result.data);
    errors.push(...(result.errors ?? []));
  }
}

function compile(node: PlanNode, path: Path, types: TypeConditions, fetches: Fetch[]): Step {
  const inside = (inner: PlanNode): Step => compile(inner, path, types, fetches);
  switch (node.kind) {
    case 'Fetch': {
      const fetch = new Fetch(node, path, types);
      fetches.push(fetch);
      return fetch.run;
    }
    case 'Flatten':
      return compile(node.node, [...path, ...node.path], types, fetches);
    case 'Sequence': {
      const steps = node.nodes.map(inside);
      return async (run) => {
        for (const step of steps) await step(run);
      };
    }
    case 'Parallel': {
      const steps = node.nodes.map(inside);
      return async (run) => {
        await Promise.all(steps.map((step) => step(run)));
      };
    }
    case 'Condition': {
      const { condition, ifClause, elseClause } = node;
      const met = ifClause && inside(ifClause);
      const unmet = elseClause && inside(elseClause);
      return async (run) => {
        await (run.conditions[condition] === true ? met : unmet)?.(run);
      };
    }
    case 'Defer':
      throw new GraphQLError('@defer is not served.', { extensions: { code: 'BAD_USER_INPUT' } });
  }
}

/** Where a plan asks the same at several places, what they have in common is asked for once. */
function shareIdentical(fetches: readonly Fetch[]): void {
  const first = new Map<string, Fetch>();
  for (const fetch of fetches) {
    const twin = first.get(fetch.identity);
    if (twin === undefined) first.set(fetch.identity, fetch);
    else if (fetch.readsOnly) twin.shared = fetch.shared = true;
  }
}

function conditionsOf({ operation, fragments }: OperationContext): readonly string[] {
  const names = new Set<string>();
  // Other operations of the document may use other fragments, with variables that this one does not have.
  const used = new Set<string>();
  const look = (node: ASTNode): void => {
    visit(node, {
      Directive: ({ name, arguments: given = [] }) => {
        if (name.value !== 'skip' && name.value !== 'include') return;
        for (const { value } of given) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
      },
      FragmentSpread: ({ name }) => {
        const fragment = fragments[name.value];
        if (fragment === undefined || used.has(name.value)) return;
        used.add(name.value);
        look(fragment);
      },
    });
  };
  look(operation);
  return [...names];
}

/** The part of the operation that asks about the schema, beside what is asked of subgraphs; undefined when there is none. */
function introspectionOf({ operation, fragments }: OperationContext): DocumentNode | undefined {
  const only = ({ selections }: SelectionSetNode): SelectionSetNode => ({
    kind: Kind.SELECTION_SET,
    selections: selections.flatMap((selection): readonly SelectionNode[] => {
      if (selection.kind === Kind.FIELD) return isIntrospection(selection) ? [selection] : [];
      const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments[selection.name.value] : selection;
      if (fragment === undefined) return [];
      const selectionSet = only(fragment.selectionSet);
      const { directives = [] } = selection;
      return selectionSet.selections.length === 0 ? [] : [{ kind: Kind.INLINE_FRAGMENT, directives, selectionSet }];
    }),
  });
  const selectionSet = only(operation.selectionSet);
  if (selectionSet.selections.length === 0) return undefined;
  return { kind: Kind.DOCUMENT, definitions: [{ ...operation, selectionSet }, ...Object.values(fragments)] };
}

const isIntrospection = ({ name }: FieldNode): boolean => name.value === '__schema' || name.value === '__type';
