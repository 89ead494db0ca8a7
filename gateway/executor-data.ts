/** What the executor does with the JSON of subgraphs: reading, merging and copying it, and finding places in it. */
import { isAbstractType, isInterfaceType, type GraphQLSchema } from 'graphql';

export type JsonObject = Record<string, unknown>;

/** Names of fields, positions in lists; `@` in a plan stands for every position. */
export type Path = readonly (string | number)[];

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A member that the object has itself: clients may call a field `toString`. */
export const own = (object: JsonObject, name: string): unknown =>
  Object.hasOwn(object, name) ? object[name] : undefined;

/** Sets a member whatever its name: assigned, `__proto__` would change what the object is. */
export function setOwn(object: JsonObject, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value;
  else Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
}

export function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const name of Object.keys(value)) setOwn(result, name, copy(value[name]));
  return result;
}

/**
 * Adds to an object what another subgraph knows of it. Lists of the same length are merged position by position; of what
 * cannot be merged the newer value stays. Nothing of `source` is shared with `target` afterwards when `copied` is true.
 */
export function merge(target: JsonObject, source: JsonObject, copied: boolean): void {
  for (const name of Object.keys(source)) {
    const value = source[name];
    if (value === undefined) continue;
    const known = own(target, name);
    if (!mergeValue(known, value, copied)) setOwn(target, name, copied ? copy(value) : value);
  }
}

/** Whether both were of a kind that could be merged. */
function mergeValue(known: unknown, value: unknown, copied: boolean): boolean {
  if (isObject(known) && isObject(value)) {
    merge(known, value, copied);
    return true;
  }
  if (!Array.isArray(known) || !Array.isArray(value) || known.length !== value.length) return false;
  for (const [index, item] of (value as unknown[]).entries()) {
    if (!mergeValue(known[index], item, copied)) known[index] = copied ? copy(item) : item;
  }
  return true;
}

/** The objects at a path of a plan, in order; what is null on the way has none. */
export function objectsAt(data: unknown, path: Path): JsonObject[] {
  const found: JsonObject[] = [];
  visitAt(data, path, 0, undefined, (object) => found.push(object));
  return found;
}

/** Where in the client's answer the objects at a path of a plan stand. */
export function placesAt(data: unknown, path: Path): Map<JsonObject, Path> {
  const places = new Map<JsonObject, Path>();
  visitAt(data, path, 0, [], (object, place = []) => places.set(object, place));
  return places;
}

type Visitor = (object: JsonObject, place: Path | undefined) => void;

/** @param place undefined when nobody asks for it */
function visitAt(value: unknown, path: Path, depth: number, place: Path | undefined, visit: Visitor): void {
  if (Array.isArray(value)) {
    const next = path[depth] === '@' ? depth + 1 : depth;
    for (const [index, item] of value.entries()) visitAt(item, path, next, place && [...place, index], visit);
  } else if (isObject(value)) {
    const name = path[depth];
    if (name === undefined) visit(value, place);
    else if (typeof name === 'string') visitAt(own(value, name), path, depth + 1, place && [...place, name], visit);
  }
}

/** Which names of types, as `__typename` gives them, a type condition takes. */
export class TypeConditions {
  private readonly schema: GraphQLSchema;
  private readonly known = new Map<string, ReadonlySet<unknown>>();

  /** @param schema with the types of all subgraphs, hidden ones included */
  constructor(schema: GraphQLSchema) {
    this.schema = schema;
  }

  /** The type itself and everything that implements it: an interface too may be some subgraph's object. */
  namesFor(condition: string): ReadonlySet<unknown> {
    const known = this.known.get(condition);
    if (known !== undefined) return known;
    const names = new Set<unknown>([condition]);
    const type = this.schema.getType(condition);
    if (isAbstractType(type)) for (const { name } of this.schema.getPossibleTypes(type)) names.add(name);
    if (isInterfaceType(type)) {
      for (const { name } of this.schema.getImplementations(type).interfaces) names.add(name);
    }
    this.known.set(condition, names);
    return names;
  }
}
