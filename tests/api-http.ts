import { readFileSync } from 'node:fs';

/** A request of api.http, its variables not yet replaced. */
export interface HttpRequest {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'WEBSOCKET';
  readonly url: string;
  readonly body: string;
}

/** api.http, as the REST client of VS Code and the HTTP client of JetBrains read it. */
export function readRequests(): { readonly requests: HttpRequest[]; readonly variables: Record<string, string> } {
  const [head = '', ...sections] = readFileSync('api.http', 'utf8').split(/^###/m);
  const variables = Object.fromEntries(
    [...head.matchAll(/^@(\w+) = (.+)$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  for (const [name, value] of Object.entries(variables)) variables[name] = substitute(value, variables);
  return { variables, requests: sections.map(readRequest) };
}

function readRequest(section: string): HttpRequest {
  const [title = '', ...rest] = section.split('\n');
  const lines = rest.filter((line) => !/^(#|\/\/)/.test(line));
  const start = lines.findIndex((line) => line !== '');
  const [, method, url = ''] = /^(GET|POST|WEBSOCKET) (\S+)$/.exec(lines[start] ?? '') ?? [];
  if (method === undefined) throw new Error(`api.http: "${title.trim()}" has no request line.`);
  const end = lines.indexOf('', start);
  return {
    name: title.trim(),
    method: method as HttpRequest['method'],
    url,
    body: end < 0 ? '' : lines.slice(end + 1).join('\n'),
  };
}

/** Replaces every `{{name}}`. */
export function substitute(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`api.http: there is no variable ${name}.`);
    return value;
  });
}
