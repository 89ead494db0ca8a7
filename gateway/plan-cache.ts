import {
  getOperationAST,
  Kind,
  specifiedRules,
  validate,
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
} from 'graphql';
import type { OperationContext, QueryPlan } from './federation.js';

/** An operation that is valid, and how it is run. */
export interface PreparedOperation {
  readonly operation: OperationContext;
  readonly plan: QueryPlan;
}

/**
 * What validation and planning made of documents, on one version of the schema. It is kept for as long as somebody keeps
 * the document: see documents.ts, which bounds how many there are.
 */
export class PlanCache {
  private readonly prepared = new WeakMap<DocumentNode, Map<string, PreparedOperation | undefined>>();
  private readonly schema: GraphQLSchema;
  private readonly plan: (document: DocumentNode, operationName: string | null | undefined) => QueryPlan;

  constructor(
    schema: GraphQLSchema,
    plan: (document: DocumentNode, operationName: string | null | undefined) => QueryPlan,
  ) {
    this.schema = schema;
    this.plan = plan;
  }

  /** Undefined when the document is not valid or has no such operation. @throws GraphQLError when it cannot be planned */
  prepare(document: DocumentNode, operationName: string | null | undefined): PreparedOperation | undefined {
    const name = operationName ?? '';
    const operations = this.prepared.get(document) ?? new Map<string, PreparedOperation | undefined>();
    this.prepared.set(document, operations);
    if (operations.has(name)) return operations.get(name);
    const prepared = this.make(document, operationName);
    // Names that the document does not have are the client's to invent.
    if (prepared !== undefined || operations.size === 0) operations.set(name, prepared);
    return prepared;
  }

  private make(document: DocumentNode, operationName: string | null | undefined): PreparedOperation | undefined {
    const operation = getOperationAST(document, operationName);
    if (operation == null || validate(this.schema, document, specifiedRules, { maxErrors: 1 }).length > 0)
      return undefined;
    const fragments: Record<string, FragmentDefinitionNode> = {};
    for (const definition of document.definitions) {
      if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments[definition.name.value] = definition;
    }
    return { operation: { schema: this.schema, operation, fragments }, plan: this.plan(document, operationName) };
  }
}
