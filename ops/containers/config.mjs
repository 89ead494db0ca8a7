/** Whether Docker Compose itself takes docker-compose.yml, with all profiles. Needs no engine. */
import { spawnSync } from 'node:child_process';
import { composeCommand } from './compose-cli.mjs';

const [command, ...args] = composeCommand();
const { status } = spawnSync(command, [...args, '--profile', 'tools', '--profile', 'scaled', 'config', '--quiet'], {
  stdio: ['ignore', 'ignore', 'inherit'],
});
process.exit(status ?? 1);
