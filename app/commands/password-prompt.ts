import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { UserError } from '../toolbox.js';

/**
 * A password: typed on a terminal, which does not show it, and twice where it is a new one; else the first line of standard
 * input.
 * @throws UserError when the two differ, or there is none
 */
export async function readPassword({ twice = true }: { readonly twice?: boolean } = {}): Promise<string> {
  if (!process.stdin.isTTY) {
    const [line = ''] = (await text(process.stdin)).split(/\r?\n/);
    if (line === '') throw new UserError('There is no password: type it on a terminal, or send it to standard input.');
    return line;
  }
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  const ask = async (question: string): Promise<string> => {
    process.stderr.write(question);
    const answer = await terminal.question('');
    process.stderr.write('\n');
    return answer;
  };
  try {
    // With the echo off nobody would see what Ctrl-C does.
    terminal.on('SIGINT', () => {
      process.stderr.write('\n');
      process.exit(130);
    });
    const password = await ask('Password: ');
    if (twice && (await ask('Once more: ')) !== password) throw new UserError('The two passwords differ.');
    return password;
  } finally {
    terminal.close();
  }
}
