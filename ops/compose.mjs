/**
 * Writes supergraph.graphql: the subgraphs of supergraph.yaml composed into the one graph the gateway serves.
 *
 *     node ops/compose.mjs [supergraph.yaml] [--output supergraph.graphql] [--check]
 *
 * The file is that of Apollo's rover, with the WebSocket of a subgraph besides. Without `--output` the supergraph is
 * written beside it. Errors and hints name subgraph, file and line; what changed for clients is printed. `--check` writes
 * nothing and fails when the supergraph is stale.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { composeServices } from '@apollo/composition';
import { Supergraph } from '@apollo/federation-internals';
import { isSpecifiedScalarType, Kind, parse } from 'graphql';
import yaml from 'js-yaml';

/** Hints from this level on are worth reading: `WARN` of @apollo/composition. */
const WARN = 60;

/** Longer than that a subgraph may not take to tell its schema. */
const INTROSPECTION_MS = 10_000; // 10 seconds

/**
 * Composes subgraphs given as `{ name, url, sdl, websocketUrl?, file? }`.
 * @returns the supergraph's SDL, and warnings as texts
 * @throws Error with a line per mistake when they do not fit together
 */
export function compose(subgraphs) {
  const services = subgraphs.map(({ name, url, sdl, file }) => ({ name, url, typeDefs: parseSchema(name, sdl, file) }));
  const files = new Map(subgraphs.map(({ name, file }) => [name, file]));
  const result = composeServices(services);
  if (result.errors !== undefined) {
    throw new Error(
      result.errors
        .map(({ message, nodes, extensions }) => `${extensions.code ?? 'ERROR'}: ${message}${places(nodes, files)}`)
        .join('\n'),
    );
  }
  const hints = result.hints
    .filter(({ definition }) => definition.level.value >= WARN)
    // Differing descriptions would stand there whole.
    .map(({ definition, message, nodes }) => `${definition.code}: ${message.split('\n')[0]}${places(nodes, files)}`);
  return { supergraphSdl: `${withWebSockets(result.supergraphSdl.trim(), subgraphs)}\n`, hints };
}

/** The supergraph SDL alone. Throws as `compose`. */
export const composeSupergraph = (subgraphs) => compose(subgraphs).supergraphSdl;

/** The subgraphs that a supergraph.yaml names, with the text of their schemas. Paths in it begin at its own folder. */
export async function readSubgraphs(file = 'supergraph.yaml') {
  const config = readYaml(file, await readText(file));
  const version = String(config?.federation_version ?? 2);
  if (!/^=?2(\.|$)/.test(version)) throw new Error(`${file}: federation_version is ${version}; it must be 2`);
  const subgraphs = Object.entries(config?.subgraphs ?? {});
  if (subgraphs.length === 0) throw new Error(`${file}: names no subgraphs`);
  const results = await Promise.allSettled(subgraphs.map(([name, given]) => readSubgraph(file, name, given)));
  const failed = results.filter(({ status }) => status === 'rejected');
  if (failed.length > 0) throw new Error(failed.map(({ reason }) => reason.message).join('\n'));
  return results.map(({ value }) => value);
}

async function readSubgraph(file, name, given) {
  const { routing_url: url, schema, subscription } = given ?? {};
  const wrong = (what) => new Error(`${file}: ${name}: ${what}`);
  if (!isAddress(url, 'http')) {
    throw wrong('routing_url must be where its GraphQL is, for example http://127.0.0.1:5001/graphql');
  }
  const websocketUrl = websocketOf(url, subscription);
  if (websocketUrl === null) {
    throw wrong('subscription needs a path, for example /ws, or a url, for example ws://127.0.0.1:5001/ws');
  }
  const rest = { name, url, ...(websocketUrl !== undefined && { websocketUrl }) };
  if (typeof schema?.file === 'string') {
    const path = isAbsolute(schema.file) ? schema.file : join(dirname(file), schema.file);
    return { ...rest, file: path, sdl: await readText(path, `${file}: ${name}: `) };
  }
  if (isAddress(schema?.subgraph_url, 'http')) {
    const sdl = await askForSchema(schema.subgraph_url).catch((error) => {
      throw wrong(`${schema.subgraph_url} does not tell its schema: ${error.message}`);
    });
    return { ...rest, sdl };
  }
  throw wrong('schema needs a file, or the subgraph_url of a subgraph that is running');
}

/** Undefined where it is the usual one, null where it makes no sense. */
function websocketOf(url, subscription) {
  if (subscription === undefined) return undefined;
  const { path, url: own } = subscription ?? {};
  if (isAddress(own, 'ws') && path === undefined) return own;
  if (typeof path !== 'string' || !path.startsWith('/') || own !== undefined) return null;
  const address = new URL(path, url);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  return address.href;
}

const isAddress = (value, scheme) =>
  typeof value === 'string' && URL.canParse(value) && [`${scheme}:`, `${scheme}s:`].includes(new URL(value).protocol);

async function askForSchema(url) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ _service { sdl } }' }),
    signal: AbortSignal.timeout(INTROSPECTION_MS),
  });
  const { data, errors } = await response.json();
  if (typeof data?._service?.sdl !== 'string') throw new Error(errors?.[0]?.message ?? `it answers ${response.status}`);
  return data._service.sdl;
}

/**
 * A supergraph has no place for WebSockets: they stand beside the addresses, in a directive of a feature of its own, which
 * other routers do not know and so pass over.
 */
function withWebSockets(supergraphSdl, subgraphs) {
  const sockets = subgraphs.filter(({ websocketUrl }) => websocketUrl !== undefined);
  if (sockets.length === 0) return supergraphSdl;
  const replace = (text, from, to) => {
    const [before, after, ...more] = text.split(from);
    if (after === undefined || more.length > 0) throw new Error(`The supergraph has no single ${from.trim()}.`);
    return `${before}${to}${after}`;
  };
  const link = '\n  @link(url: "https://specs.apollo.dev/link/v1.0")';
  const definition = '\ndirective @link(';
  let sdl = replace(supergraphSdl, link, `${link}\n  @link(url: "https://tributary.example/websocket/v1.0")`);
  sdl = replace(sdl, definition, `\ndirective @websocket(url: String!) on ENUM_VALUE\n${definition}`);
  for (const { name, url, websocketUrl } of sockets) {
    const place = `@join__graph(name: ${JSON.stringify(name)}, url: ${JSON.stringify(url)})`;
    sdl = replace(sdl, place, `${place} @websocket(url: ${JSON.stringify(websocketUrl)})`);
  }
  return sdl;
}

function readYaml(file, text) {
  try {
    return yaml.safeLoad(text);
  } catch (error) {
    throw new Error(`${file}: ${error.message}`, { cause: error });
  }
}

async function readText(file, before = '') {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`${before}${file} cannot be read: ${error.code ?? error.message}`, { cause: error });
  }
}

function parseSchema(name, sdl, file) {
  try {
    return parse(sdl);
  } catch (error) {
    const [{ line, column } = {}] = error.locations ?? [];
    const where = line === undefined ? '' : `\n    at ${file ?? name}:${line}:${column}`;
    throw new Error(`${name}: ${error.message}${where}`, { cause: error });
  }
}

/** Where in which schema; lines that the composer made up have none. */
function places(nodes, files) {
  const known = (nodes ?? []).filter(({ loc, subgraph }) => loc !== undefined && subgraph !== undefined);
  const lines = known.map(({ loc: { startToken }, subgraph }) => {
    const place = `${startToken.line}:${startToken.column}`;
    return `\n    at ${files.get(subgraph) === undefined ? `${subgraph} ` : `${files.get(subgraph)}:`}${place}`;
  });
  return [...new Set(lines)].join('');
}

/** What clients and the gateway see differently, a line each: `+ Product.reviews: [Review!]!`. */
export function changes(before, after) {
  const [old, now] = [before, after].map(inventory);
  return [
    ...[...old].filter(([key]) => !now.has(key)).map(([key, what]) => `- ${key}${what}`),
    ...[...now].filter(([key]) => !old.has(key)).map(([key, what]) => `+ ${key}${what}`),
    ...[...now]
      .filter(([key, what]) => old.has(key) && old.get(key) !== what)
      .map(([key, what]) => `~ ${key}${what}, before${old.get(key)}`),
  ];
}

const KINDS = {
  [Kind.ENUM_TYPE_DEFINITION]: 'enum',
  [Kind.INPUT_OBJECT_TYPE_DEFINITION]: 'input',
  [Kind.INTERFACE_TYPE_DEFINITION]: 'interface',
  [Kind.SCALAR_TYPE_DEFINITION]: 'scalar',
  [Kind.UNION_TYPE_DEFINITION]: 'union',
};

/** Subgraphs with their addresses, and types with their fields, of a supergraph; of none, or of one that is broken, nothing. */
function inventory(supergraphSdl) {
  const found = new Map();
  let supergraph;
  try {
    supergraph = Supergraph.build(supergraphSdl, { validateSupergraph: false });
  } catch {
    return found;
  }
  for (const { name, url } of supergraph.subgraphsMetadata()) found.set(`subgraph ${name}`, ` at ${url}`);
  const schema = supergraph.apiSchema().toGraphQLJSSchema();
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__') || isSpecifiedScalarType(type)) continue;
    found.set(type.name, ` (${KINDS[type.astNode?.kind] ?? 'type'})`);
    for (const field of Object.values(type.getFields?.() ?? {})) {
      const args = (field.args ?? []).map((argument) => `${argument.name}: ${argument.type}`).join(', ');
      found.set(`${type.name}.${field.name}`, `${args === '' ? '' : `(${args})`}: ${field.type}`);
    }
    for (const value of type.getValues?.() ?? []) found.set(`${type.name}.${value.name}`, '');
    for (const member of type.getTypes?.() ?? []) found.set(`${type.name} | ${member.name}`, '');
  }
  return found;
}

/** In one step, so that a gateway that watches the file never sees half of it. */
async function replaceFile(file, text) {
  const beside = `${file}.${process.pid}.new`;
  await writeFile(beside, text);
  await rename(beside, file);
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { output: { type: 'string' }, check: { type: 'boolean', default: false } },
  });
  const [config = 'supergraph.yaml'] = positionals;
  const output = values.output ?? join(dirname(config), 'supergraph.graphql');
  const [before, subgraphs] = await Promise.all([readFile(output, 'utf8').catch(() => ''), readSubgraphs(config)]);
  const { supergraphSdl, hints } = compose(subgraphs);
  const after = `# Composed from ${basename(config)} by \`npm run compose\`. Do not edit.\n${supergraphSdl}`;
  for (const hint of hints) console.warn(`hint: ${hint}`);
  if (before === after) return;
  const near = relative('.', output);
  const shown = near.startsWith('..') ? output : near;
  if (values.check) throw new Error(`Stale, run \`npm run compose\`: ${shown}`);
  await replaceFile(output, after);
  // Of a first one everything is new.
  const changed = before === '' ? [] : changes(before, after);
  const title = `wrote ${shown}, composed from ${subgraphs.map(({ name }) => name).join(', ')}`;
  console.log([title, ...changed.map((line) => `  ${line}`)].join('\n'));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
