/** For the executor's tests: subgraphs that answer anything at random, always the same for the same seed. */
import { createHash } from 'node:crypto';
import { buildSubgraphSchema } from '@apollo/subgraph';
import {
  execute,
  getNamedType,
  GraphQLError,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  Kind,
  parse,
  print,
  type GraphQLFieldResolver,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql';
import type { GraphQLDataSource, SubgraphAnswer, SubgraphRequest } from './executor.js';

export interface Faults {
  /** Of a hundred nullable values, so many are null; as many fields fail; as many entities are unknown. */
  readonly nulls: number;
  /** Of a hundred values, so many are lost on the way, nullable or not. */
  readonly lost: number;
}

/** A number below a hundred, and a text, that depend on the key alone. */
function chance(key: string): number {
  return createHash('sha1').update(key).digest().readUInt16BE(0) % 100;
}

/** The data source of each subgraph, and what it was asked. */
export function randomWorld(
  subgraphs: readonly { readonly name: string; readonly sdl: string }[],
  seed: string,
  faults: Faults,
) {
  const asked: (SubgraphRequest & { readonly subgraph: string })[] = [];
  const sources = Object.fromEntries(
    subgraphs.map(({ name, sdl }): [string, GraphQLDataSource] => {
      const schema = subgraphSchema(sdl, seed, faults);
      const process = async (request: SubgraphRequest): Promise<SubgraphAnswer> => {
        asked.push({ ...request, subgraph: name });
        const result = await execute({
          schema,
          document: parse(request.query),
          variableValues: request.variables,
          fieldResolver: randomField(seed, faults),
          typeResolver: (value: unknown) => (value as { __typename: string }).__typename,
        });
        const { data, errors } = JSON.parse(JSON.stringify(result)) as SubgraphAnswer;
        return {
          ...(data !== undefined && {
            data: lose(data, `${seed} ${name}`, faults.lost) as SubgraphAnswer['data'] & {},
          }),
          ...(errors !== undefined && { errors }),
        };
      };
      return [name, { process: ({ request }) => process(request) }];
    }),
  );
  return { sources, asked };
}

function subgraphSchema(sdl: string, seed: string, faults: Faults): GraphQLSchema {
  const schema = buildSubgraphSchema([{ typeDefs: parse(sdl) }]);
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type)) continue;
    const extensions = { apollo: { subgraph: { resolveReference: (reference: object) => entity(reference) } } };
    const entity = (reference: object) =>
      chance(`${seed} entity ${keyOf(reference)}`) < faults.nulls ? null : { ...reference, __typename: type.name };
    Object.assign(type, { extensions: { ...type.extensions, ...extensions } });
    if ('resolveReference' in type) Object.assign(type, { resolveReference: entity });
  }
  return schema;
}

/** What makes an entity the same in all subgraphs. */
const keyOf = (source: unknown): string => {
  const { __typename, id } = (source ?? {}) as { readonly __typename?: string; readonly id?: string };
  return `${__typename ?? ''} ${id ?? ''}`;
};

const randomField =
  (seed: string, faults: Faults): GraphQLFieldResolver<unknown, unknown> =>
  (source, args, _context, { fieldName, returnType, parentType, schema }) => {
    const known = (source as Record<string, unknown> | undefined)?.[fieldName];
    if (fieldName === 'id' && known !== undefined) return known;
    // Fields of values that are no entities go by the place of the value, which `id` stands for.
    const { id = '' } = (source ?? {}) as { readonly id?: string };
    const needed = known === undefined ? '' : JSON.stringify(known);
    const key = `${seed} ${parentType.name} ${id} ${fieldName} ${JSON.stringify(args)} ${needed}`;
    if (chance(`${key} fails`) < faults.nulls / 2)
      throw new GraphQLError(`${fieldName} failed`, { extensions: { code: 'CONFLICT' } });
    return randomValue(returnType, key, schema, faults);
  };

function randomValue(type: GraphQLOutputType, key: string, schema: GraphQLSchema, faults: Faults): unknown {
  if (isNonNullType(type)) {
    return randomValue(type.ofType, key, schema, { ...faults, nulls: 0 });
  }
  if (chance(`${key} null`) < faults.nulls) return null;
  if (isListType(type)) {
    const length = chance(`${key} length`) % 4;
    return Array.from({ length }, (_, index) => randomValue(type.ofType, `${key}.${index}`, schema, faults));
  }
  if (isCompositeType(type)) {
    const possible = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
    const actual = possible[chance(`${key} type`) % possible.length];
    // Few different ones, so that the same comes at several places.
    return { __typename: actual?.name, id: `${chance(`${key} id`) % 5}` };
  }
  if (isEnumType(type)) return type.getValues()[chance(key) % type.getValues().length]?.value;
  const number = 1 + chance(`${key} value`);
  if (type.name === 'Int') return number;
  if (type.name === 'Float') return number + 0.5;
  return type.name === 'Boolean' ? true : `${type.name} ${number}`;
}

/** Members of objects set to null or left out: the same of the same objects, wherever they stand. */
function lose(value: unknown, seed: string, lost: number): unknown {
  if (lost === 0) return value;
  if (Array.isArray(value)) return value.map((item) => lose(item, seed, lost));
  if (typeof value !== 'object' || value === null) return value;
  const result: Record<string, unknown> = {};
  const key = `${seed} ${JSON.stringify(value)}`;
  for (const [name, member] of Object.entries(value)) {
    const keep = name === '__typename' || name === '_entities' || chance(`${key} ${name} lost`) >= lost;
    if (keep) result[name] = lose(member, seed, lost);
    else if (chance(`${key} ${name} how`) < 50) result[name] = null;
  }
  return result;
}

/** A random operation on the schema, as text; `pick` answers a number below the given one. */
export function randomOperation(schema: GraphQLSchema, pick: (below: number) => number): string {
  const fragments: string[] = [];
  const selection = (type: GraphQLOutputType, depth: number): string => {
    const named = getNamedType(type);
    if (!isCompositeType(named)) return '';
    const parts: string[] = [];
    const fields = isUnionType(named) ? [] : Object.values(named.getFields());
    for (let count = 1 + pick(4); count > 0; count--) {
      const field = fields[pick(Math.max(1, fields.length))];
      const what = pick(12);
      if (field === undefined || what < 2) parts.push(pick(2) === 0 ? '__typename' : 'kind: __typename');
      if (what === 2 || what === 3 || isUnionType(named)) {
        const types = isAbstractType(named) ? [named, ...schema.getPossibleTypes(named)] : [named];
        const condition = types[pick(types.length)];
        if (condition === undefined || depth <= 0) continue;
        const inner = selection(condition, depth - 1);
        if (pick(2) === 0) parts.push(`... on ${condition.name}${directive()} ${inner}`);
        else {
          fragments.push(`fragment F${fragments.length} on ${condition.name} ${inner}`);
          parts.push(`...F${fragments.length - 1}${directive()}`);
        }
      } else if (field !== undefined) {
        if (isCompositeType(getNamedType(field.type)) && depth <= 0) continue;
        const [argument] = field.args;
        const given = argument !== undefined && pick(2) === 0;
        const args = given ? `(${argument.name}: ${argumentOf(argument.type.toString(), pick)})` : '';
        // Names that tell what was asked, so that the same name is never asked for differently.
        const alias = given ? `${field.name}_${args.replace(/\W/g, '')}: ` : pick(4) === 0 ? `x_${field.name}: ` : '';
        if (argument !== undefined && !given && isNonNullType(argument.type)) continue;
        parts.push(`${alias}${field.name}${args}${directive()} ${selection(field.type, depth - 1)}`);
      }
    }
    return `{ ${parts.length === 0 ? '__typename' : parts.join(' ')} }`;
  };
  const directive = (): string => {
    const what = pick(16);
    const name = what % 2 === 0 ? 'skip' : 'include';
    return what < 4 ? ` @${name}(if: ${['$yes', '$no', 'true', 'false'][what]})` : '';
  };
  const query = schema.getQueryType();
  if (query == null) throw new Error('The schema has no Query.');
  const body = selection(query, 3);
  return `query Q($yes: Boolean!, $no: Boolean = false, $upper: Boolean) ${body} ${fragments.join(' ')}`;
}

const argumentOf = (type: string, pick: (below: number) => number): string =>
  type.startsWith('Boolean')
    ? (['true', 'false', '$upper'][pick(3)] ?? 'true')
    : type.startsWith('Int')
      ? String(pick(3))
      : `"${pick(3)}"`;

/** The operation without what validation would refuse: variables that nothing uses. */
export function withoutUnusedVariables(text: string): string {
  const document = parse(text);
  const body = text.slice(text.indexOf('{'));
  return print({
    ...document,
    definitions: document.definitions.map((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION
        ? {
            ...definition,
            variableDefinitions: (definition.variableDefinitions ?? []).filter(({ variable }) =>
              body.includes(`$${variable.name.value}`),
            ),
          }
        : definition,
    ),
  });
}
