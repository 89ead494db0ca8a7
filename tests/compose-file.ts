import { execFileSync } from 'node:child_process';
import { composeCommand } from '../ops/containers/compose-cli.mjs';

export interface ComposeService {
  readonly command: readonly string[] | null;
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports?: readonly { readonly host_ip?: string; readonly published: string; readonly target: number }[];
  readonly mem_limit?: string;
  readonly profiles?: readonly string[];
  readonly user?: string;
}

/** docker-compose.yml as Docker Compose itself understands it: anchors, variables and `extends` resolved. */
export function readComposeFile(): Readonly<Record<string, ComposeService>> {
  const [command = '', ...first] = composeCommand();
  const profiles = ['--profile', 'tools', '--profile', 'scaled'];
  const text = execFileSync(command, [...first, ...profiles, 'config', '--format', 'json'], { encoding: 'utf8' });
  return (JSON.parse(text) as { readonly services: Readonly<Record<string, ComposeService>> }).services;
}
