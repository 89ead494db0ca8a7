import { Command } from 'commander';
import type { Env } from '../doctor/subject.js';
import { EXIT } from '../exit.js';

interface Options {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export interface DoctorTools {
  /** As it is: that it is wrong may be what is to be told. */
  readonly env: () => Env;
  readonly print: (text: string) => void;
}

/** `tributary doctor`. */
export const doctorCommand = ({ env, print }: DoctorTools): Command =>
  new Command('doctor')
    .description('what is wrong here, and what to do about it; changes nothing, exits with 1 if there is a problem')
    .option('--quiet', 'only what is wrong')
    .option('--json', 'as one object')
    .action(async ({ json = false, quiet = false }: Options) => {
      // By `exit`, on which copies of files are removed.
      for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(EXIT.interrupted));
      const { examine } = await import('../doctor/doctor.js');
      const { counted, reportJson, reportText } = await import('../doctor/report.js');
      const diagnoses = await examine(env(), Date.now);
      if (json) print(reportJson(diagnoses, quiet));
      else reportText(diagnoses, { quiet, colours: hasColours(env()) }).forEach(print);
      if (counted(diagnoses).problem > 0) process.exitCode = EXIT.fault;
    });

/** On a terminal, unless its owner wants none (no-color.org). */
const hasColours = (env: Env): boolean => process.stdout.isTTY && (env['NO_COLOR'] ?? '') === '';
