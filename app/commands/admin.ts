import { Command } from 'commander';
import type { CommandContext } from '../../shared/commands/commands.js';
import { AppError } from '../../shared/errors/errors.js';
import { newId } from '../../shared/ids/ids.js';
import { UserError, type Toolbox } from '../toolbox.js';
import { readPassword } from './password-prompt.js';
import { buildOffline } from './setup.js';

interface CreateOptions {
  readonly email: string;
  readonly name: string;
  readonly yes?: boolean;
}

/** `tributary admin create`: the first administrator, whom nobody in the graph could make. */
export function adminCommand(toolbox: Toolbox): Command {
  const admin = new Command('admin').description('make administrators who can log in');
  admin
    .command('create')
    .description('make an administrator; the password is asked for, or read from standard input')
    .requiredOption('--email <address>', 'what the administrator logs in with')
    .requiredOption('--name <name>', 'full name, for somebody new')
    .option('--yes', 'change a user who is there already, without asking')
    .action((options: CreateOptions) => create(toolbox, options));
  return admin;
}

/** Beside a running system too: what it writes is published by whoever runs the user worker. */
async function create(toolbox: Toolbox, { email, name, yes = false }: CreateOptions): Promise<void> {
  const { config, log, print } = toolbox;
  const password = await readPassword();
  const subgraph = await buildOffline('user', config, await toolbox.engines(['database']), log);
  try {
    const context: CommandContext = {
      identity: { role: 'ADMIN', userId: newId() },
      requestId: newId(),
      traceparent: null,
      log,
    };
    const make = (replace: boolean) => subgraph.commands.createAdmin(context, { email, name, password, replace });
    let outcome = await make(yes);
    if (outcome === 'exists') {
      const question = `There is a user ${email}. Make them an administrator with this password?`;
      if (!(await toolbox.confirm(question))) {
        throw new UserError(`There is a user ${email}; nothing was changed. Say --yes to make them an administrator.`);
      }
      outcome = await make(true);
    }
    print(
      {
        created: `${email} is an administrator.`,
        promoted: `${email} is an administrator, with this password.`,
        unchanged: `${email} is an administrator with this password already.`,
      }[outcome === 'exists' ? 'unchanged' : outcome],
    );
  } catch (error) {
    if (error instanceof AppError && (error.code === 'VALIDATION' || error.code === 'CONFLICT')) {
      throw new UserError(error.message);
    }
    throw error;
  } finally {
    await subgraph.close();
  }
}
