/**
 * Writes supergraph.graphql: the subgraphs of supergraph.yaml composed into the one graph the gateway serves.
 * `--check` writes nothing and fails when the file is stale.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';
import yaml from 'js-yaml';

/**
 * The supergraph SDL of subgraphs given as `{ name, url, sdl }`.
 * Throws an Error with a line per mistake when they do not fit together.
 */
export function composeSupergraph(subgraphs) {
  const services = subgraphs.map(({ name, url, sdl }) => ({ name, url, typeDefs: parseSchema(name, sdl) }));
  const result = composeServices(services);
  if (result.errors !== undefined) {
    throw new Error(result.errors.map((error) => `${error.extensions.code ?? 'ERROR'}: ${error.message}`).join('\n'));
  }
  return `${result.supergraphSdl.trim()}\n`;
}

/** The subgraphs that a supergraph.yaml names, with the text of their schemas. */
export async function readSubgraphs(file = 'supergraph.yaml') {
  const { subgraphs = {} } = yaml.safeLoad(await readFile(file, 'utf8')) ?? {};
  return Promise.all(
    Object.entries(subgraphs).map(async ([name, { routing_url: url, schema } = {}]) => {
      if (typeof url !== 'string' || typeof schema?.file !== 'string') {
        throw new Error(`${file}: ${name} needs routing_url and schema.file`);
      }
      return { name, url, sdl: await readFile(schema.file, 'utf8') };
    }),
  );
}

function parseSchema(name, sdl) {
  try {
    return parse(sdl);
  } catch (error) {
    const { line, column } = error.locations?.[0] ?? {};
    throw new Error(`${name}: ${error.message}${line === undefined ? '' : ` (line ${line}, column ${column})`}`, {
      cause: error,
    });
  }
}

const OUTPUT = 'supergraph.graphql';

async function main() {
  const header = '# Composed from supergraph.yaml by `npm run compose`. Do not edit.\n';
  const [before, subgraphs] = await Promise.all([readFile(OUTPUT, 'utf8').catch(() => ''), readSubgraphs()]);
  const after = header + composeSupergraph(subgraphs);
  if (before === after) return;
  if (process.argv.includes('--check')) throw new Error(`Stale, run \`npm run compose\`: ${OUTPUT}`);
  await writeFile(OUTPUT, after);
  console.log(`wrote ${OUTPUT}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
