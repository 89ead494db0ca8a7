/** One fetch of a query plan: what is asked of a subgraph, and where its answer goes. */
import type { FetchDataRewrite, FetchNode, QueryPlanSelectionNode } from '@apollo/query-planner';
import { GraphQLError, OperationTypeNode } from 'graphql';
import type { GatewayContext } from './context.js';
import {
  copy,
  isObject,
  merge,
  objectsAt,
  own,
  placesAt,
  setOwn,
  type JsonObject,
  type Path,
  type TypeConditions,
} from './executor-data.js';

/** A call of a subgraph, ready to be sent. */
export interface SubgraphRequest {
  readonly kind: OperationTypeNode;
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: JsonObject;
  /** The same as the JSON text of a GraphQL request over HTTP. */
  readonly body: string;
}

/** What a subgraph answers: plain JSON. */
export interface SubgraphAnswer {
  readonly data?: JsonObject | null;
  readonly errors?: readonly SubgraphError[];
}

export interface SubgraphError {
  readonly message?: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface GraphQLDataSource {
  /**
   * Asks the subgraph once. The answer is the caller's to change.
   * @throws AppError UNAVAILABLE when there is none
   */
  process(call: { readonly request: SubgraphRequest; readonly context: GatewayContext }): Promise<SubgraphAnswer>;
}

/** An operation while it runs. */
export interface Run {
  readonly sources: Readonly<Record<string, GraphQLDataSource>>;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Those of them that are in a `@skip` or an `@include`. */
  readonly conditions: Readonly<Record<string, boolean>>;
  readonly context: GatewayContext;
  /** What the subgraphs have answered so far, under the client's names and some more. */
  readonly data: JsonObject;
  readonly errors: GraphQLError[];
  /** Calls in hand that other fetches of the plan may be waiting for too, by subgraph and text. */
  readonly inFlight: Map<string, Promise<SubgraphAnswer>>;
}

/** Fills `run.data` and `run.errors`; never rejects. */
export type Step = (run: Run) => Promise<void>;

/** The entities to ask for: each once, with all the places that want it. */
interface Wanted {
  readonly representations: JsonObject[];
  /** The JSON of each. */
  readonly texts: string[];
  readonly targets: JsonObject[][];
}

export class Fetch {
  private readonly node: FetchNode;
  private readonly path: Path;
  /** The request up to its variables. */
  private readonly head: string;
  private readonly represent: Reader | undefined;
  private readonly rewriteInput: Rewriter;
  private readonly rewriteOutput: Rewriter;
  /** Fetches of one plan with the same identity and the same variables get the same answer. */
  readonly identity: string;
  /** Whether another fetch of the plan may ask the same. */
  shared = false;

  /** @param path of the objects that the answer is about */
  constructor(node: FetchNode, path: Path, types: TypeConditions) {
    const { operation, operationName, requires } = node;
    this.node = node;
    this.path = path;
    const name = operationName === undefined ? '' : `"operationName":${JSON.stringify(operationName)},`;
    this.head = `{"query":${JSON.stringify(operation)},${name}"variables":{`;
    this.represent = requires === undefined ? undefined : reader(requires, types);
    this.rewriteInput = rewriter(node.inputRewrites, types);
    this.rewriteOutput = rewriter(node.outputRewrites, types);
    // Every fetch has a name of its own where the client's operation has one.
    this.identity = `${node.serviceName} ${operation.replace(/^query \w+/, 'query')}`;
  }

  /** Whether it reads only, so that one answer may serve several. */
  get readsOnly(): boolean {
    return this.node.operationKind === OperationTypeNode.QUERY;
  }

  readonly run: Step = async (run) => {
    const objects = objectsAt(run.data, this.path);
    if (objects.length === 0) return;
    try {
      if (this.represent === undefined) {
        this.take(run, objects, await this.ask(run));
      } else {
        const wanted = this.wanted(objects, this.represent);
        if (wanted.targets.length > 0) this.takeEntities(run, wanted, await this.ask(run, wanted));
      }
    } catch (error) {
      run.errors.push(this.failure(error));
    }
  };

  private take(run: Run, objects: readonly JsonObject[], { data, errors = [] }: SubgraphAnswer): void {
    for (const error of errors) {
      const place = this.path.length === 0 ? [] : objects[0] && placesAt(run.data, this.path).get(objects[0]);
      run.errors.push(this.located(error, error.path && place && [...place, ...error.path]));
    }
    if (!isObject(data)) return;
    this.rewriteOutput(data);
    for (const object of objects) merge(object, data, objects.length > 1);
  }

  private takeEntities(run: Run, { targets }: Wanted, { data, errors = [] }: SubgraphAnswer): void {
    this.addEntityErrors(run, errors, targets);
    if (!isObject(data)) return;
    const entities = own(data, '_entities');
    if (!Array.isArray(entities) || entities.length !== targets.length) {
      throw new Error(`Expected ${targets.length} entities of ${this.node.serviceName}.`);
    }
    for (const [index, entity] of (entities as unknown[]).entries()) {
      if (!isObject(entity)) continue;
      const wanting = targets[index] ?? [];
      // Rewrites go by the type; a subgraph was not asked for it where there is only one.
      entity['__typename'] ??= wanting[0]?.['__typename'];
      this.rewriteOutput(entity);
      for (const target of wanting) merge(target, entity, wanting.length > 1);
    }
  }

  private wanted(objects: readonly JsonObject[], represent: Reader): Wanted {
    const wanted: Wanted = { representations: [], texts: [], targets: [] };
    const positions = new Map<string, number>();
    for (const object of objects) {
      const representation = represent(object);
      // An object of a type that this fetch is not about, or whose key did not come.
      if (!isObject(representation) || representation['__typename'] === undefined) continue;
      this.rewriteInput(representation);
      const text = JSON.stringify(representation);
      const position = positions.get(text);
      if (position !== undefined) {
        wanted.targets[position]?.push(object);
        continue;
      }
      positions.set(text, wanted.texts.length);
      wanted.representations.push(representation);
      wanted.texts.push(text);
      wanted.targets.push([object]);
    }
    return wanted;
  }

  /** The client's variables that the fetch uses, as the client sent them. */
  private variablesOf(variables: Run['variables']): JsonObject {
    const used: JsonObject = {};
    for (const name of this.node.variableUsages ?? []) {
      const value = own(variables, name);
      if (value !== undefined) setOwn(used, name, value);
    }
    return used;
  }

  private ask({ sources, variables: given, context, inFlight }: Run, entities?: Wanted): Promise<SubgraphAnswer> {
    const { serviceName, operation, operationName, operationKind: kind } = this.node;
    const source = sources[serviceName];
    if (source === undefined) throw new Error(`There is no data source for the subgraph ${serviceName}.`);
    const variables = this.variablesOf(given);
    const names = Object.keys(variables);
    let text = names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(variables[name])}`).join(',');
    if (entities !== undefined) {
      text += `${names.length === 0 ? '' : ','}"representations":[${entities.texts.join(',')}]`;
      variables['representations'] = entities.representations;
    }
    text += '}}';
    const request: SubgraphRequest = { kind, query: operation, operationName, variables, body: this.head + text };
    if (!this.shared) return source.process({ request, context });
    const key = this.identity + text;
    const answer = inFlight.get(key) ?? source.process({ request, context });
    inFlight.set(key, answer);
    return answer.then(({ data, errors = [] }) => ({ data: copy(data) as JsonObject | null, errors }));
  }

  private addEntityErrors(run: Run, errors: readonly SubgraphError[], targets: readonly JsonObject[][]): void {
    if (errors.length === 0) return;
    const places = placesAt(run.data, this.path);
    for (const error of errors) {
      const [, position, ...rest] = error.path ?? [];
      const wanting = typeof position === 'number' ? targets[position] : undefined;
      if (wanting === undefined) run.errors.push(this.located(error, this.commonPlace()));
      for (const target of wanting ?? []) {
        const place = places.get(target);
        run.errors.push(this.located(error, place && [...place, ...rest]));
      }
    }
  }

  /** As deep as all objects of the fetch have in common. */
  private commonPlace(): Path | undefined {
    const list = this.path.indexOf('@');
    const place = list < 0 ? this.path : this.path.slice(0, list);
    return place.length === 0 ? undefined : place;
  }

  private located({ message, extensions }: SubgraphError, path: Path | undefined): GraphQLError {
    const { serviceName } = this.node;
    return new GraphQLError(message ?? `The ${serviceName} service gave no reason.`, {
      path: path ?? null,
      extensions: { code: 'DOWNSTREAM_SERVICE_ERROR', ...extensions, serviceName },
    });
  }

  private failure(error: unknown): GraphQLError {
    const originalError = error instanceof Error ? error : new Error(String(error));
    return new GraphQLError(originalError.message, { originalError, path: this.commonPlace() ?? null });
  }
}

/** Takes the fields that a subgraph wants to see from an object; undefined when one of them is not there. */
type Reader = (value: unknown) => unknown;

function reader(selections: readonly QueryPlanSelectionNode[], types: TypeConditions): Reader {
  const parts = selections.map((selection) => {
    if (selection.kind === 'Field') {
      const name = selection.alias ?? selection.name;
      const inner = selection.selections === undefined ? undefined : reader(selection.selections, types);
      return (source: JsonObject, result: JsonObject): boolean => {
        const value = own(source, name);
        if (value === undefined) return false;
        setOwn(result, name, inner === undefined ? value : (inner(value) ?? null));
        return true;
      };
    }
    const { typeCondition } = selection;
    const names = typeCondition === undefined ? undefined : types.namesFor(typeCondition);
    const inner = reader(selection.selections, types);
    return (source: JsonObject, result: JsonObject): boolean => {
      if (names !== undefined && !names.has(source['__typename'])) return true;
      const part = inner(source);
      if (isObject(part)) merge(result, part, false);
      return true;
    };
  });
  const read: Reader = (value) => {
    if (Array.isArray(value)) return value.map((item) => read(item) ?? null);
    if (!isObject(value)) return null;
    const result: JsonObject = {};
    return parts.every((part) => part(value, result)) ? result : undefined;
  };
  return read;
}

/** Changes what it is given: names that differ between subgraph and client, types that another subgraph calls differently. */
type Rewriter = (value: unknown) => void;

const FRAGMENT = '... on ';

function rewriter(rewrites: readonly FetchDataRewrite[] | undefined, types: TypeConditions): Rewriter {
  const all = (rewrites ?? []).map((rewrite) => {
    const path = [...rewrite.path];
    const name = path.pop();
    if (name === undefined) throw new Error('The planner made a rewrite of nothing.');
    const change = (object: JsonObject): void => {
      if (rewrite.kind === 'ValueSetter') return setOwn(object, name, rewrite.setValueTo);
      const value = own(object, name);
      if (value == null) return undefined;
      setOwn(object, rewrite.renameKeyTo, value);
      Reflect.deleteProperty(object, name);
      return undefined;
    };
    return (value: unknown) => changeAt(value, path, 0, types, change);
  });
  return (value) => {
    for (const rewrite of all) rewrite(value);
  };
}

function changeAt(
  value: unknown,
  path: readonly string[],
  depth: number,
  types: TypeConditions,
  change: (object: JsonObject) => void,
): void {
  if (Array.isArray(value)) {
    for (const item of value) changeAt(item, path, depth, types, change);
    return;
  }
  if (!isObject(value)) return;
  const element = path[depth];
  if (element === undefined) return change(value);
  if (!element.startsWith(FRAGMENT)) return changeAt(own(value, element), path, depth + 1, types, change);
  const typename = value['__typename'];
  if (typename !== undefined && !types.namesFor(element.slice(FRAGMENT.length)).has(typename)) return;
  return changeAt(value, path, depth + 1, types, change);
}
