#!/usr/bin/env node
import { Command } from 'commander';
import pack from '../package.json' with { type: 'json' };
import { readConfig, type Config } from '../shared/config/config.js';
import { createLogger, type Logger } from '../shared/observability/logger.js';
import { endingOf, EXIT } from './exit.js';
import { withEngines } from './engines-file.js';
import { openToolbox } from './open-toolbox.js';
import { PROCESS_NAMES } from './processes.js';

const begun = performance.now() - process.uptime() * 1_000;

const given = process.argv.slice(2);
const named = given.find((arg) => !arg.startsWith('-'));
/** `npm start` names no command: it runs everything. */
const asked = named !== undefined || given.some((arg) => arg !== '--engines');
const args = asked ? given : ['run', ...given];
const isRun = !asked || named === 'run';

let env: Readonly<Record<string, string | undefined>> = process.env;
let settings: Config | undefined;
let logger: Logger | undefined;

const program = new Command('tributary')
  .description('A commerce backend as one federated GraphQL graph. Settings are environment variables.')
  .version(pack.version)
  .option('--engines', 'use the servers that `npm run engines` has started')
  .hook('preAction', async (_, command) => {
    const { engines = false } = program.opts<{ engines?: boolean }>();
    if (engines) env = withEngines(env);
    // Whoever asks what is wrong hears of wrong settings there.
    if (command.name() === 'doctor') return;
    const read = readConfig(env);
    settings = read;
    // Tools answer on standard output, so what they log goes elsewhere, and only if something is wrong.
    if (!isRun) logger = await createLogger(read, () => read.logLevel === 'info', 2);
  });

const config = (): Config => settings ?? readConfig(env);
const toolbox = openToolbox({
  config,
  log: () => {
    if (logger === undefined) throw new Error('There is no log before a command runs.');
    return logger;
  },
});

// Loaded when they are called: tools do without servers, and servers without tools.
program
  .command('run')
  .description('run processes in this one: all of them when none is named')
  .argument('[names...]', PROCESS_NAMES.join(', '))
  .action(async (names: string[]) => (await import('./commands/run.js')).run(names, config(), begun));
program
  .command('setup')
  .description('make topics, databases with tables, and collections on the servers; changes nothing that is there')
  .action(async () => (await import('./commands/setup.js')).setup(toolbox));
program
  .command('demo-data')
  .description('load the demo data into the servers, once, beside running workers')
  .action(async () => (await import('./commands/demo-data.js')).demoData(toolbox));

if (!isRun) {
  // Their options are part of --help, so they are loaded for every command but the one that has no time.
  const { adminCommand } = await import('./commands/admin.js');
  const { demoCommand } = await import('./commands/demo.js');
  const { doctorCommand } = await import('./commands/doctor.js');
  const { dlqCommand } = await import('./commands/dlq.js');
  const { outboxCommand } = await import('./commands/outbox.js');
  const { projectionsCommand } = await import('./commands/projections.js');
  for (const command of [adminCommand, demoCommand, dlqCommand, outboxCommand, projectionsCommand])
    program.addCommand(command(toolbox));
  program.addCommand(doctorCommand({ env: () => env, print: toolbox.print }));
}
// Whoever reads may have seen enough, as `head` does.
if (!isRun) process.stdout.on('error', () => process.exit(EXIT.clean));
try {
  strict(program);
  await program.parseAsync(args, { from: 'user' });
  // A command may have answered that something is wrong.
  if (!isRun) await end(Number(process.exitCode ?? EXIT.clean));
} catch (error) {
  const { code, message } = endingOf(error);
  if (message !== '') console.error(message ?? error);
  await end(code);
}

/** Mistakes in what was typed are thrown, for us to end with our own exit code. */
function strict(command: Command): void {
  command.exitOverride();
  command.commands.forEach(strict);
}

async function end(code: number): Promise<never> {
  await toolbox.close().catch((error: unknown) => console.error(error));
  // A pipe takes 64 KB at a time: what has not gone through would be cut off.
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  process.exit(code);
}
