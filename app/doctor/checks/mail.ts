import { createTransport } from 'nodemailer';
import type { Config } from '../../../shared/config/config.js';
import { formatDuration } from '../../../shared/time/duration.js';
import { needsTls } from '../../../subgraphs/user/mail/smtp.js';
import { NotChecked, ok, problem, skipped, warning, type Check, type Finding } from '../check.js';
import { hasTable } from './databases.js';
import { reasonOf } from '../words.js';

const area = 'mail';

const ANSWER_MS = 5_000;

/** A mail is sent within seconds, unless the server puts it off. */
const LATE_MS = 300_000; // 5 minutes

const server: Check = {
  name: 'mail server',
  area,
  async run({ config, secrets }) {
    const { smtpUrl } = config.mail;
    if (smtpUrl === undefined) return [noServer(config)];
    const url = new URL(smtpUrl);
    const { host } = url;
    const limits = { connectionTimeout: ANSWER_MS, greetingTimeout: ANSWER_MS, socketTimeout: ANSWER_MS };
    const transport = createTransport({ url: smtpUrl, requireTLS: needsTls(url), ...limits });
    try {
      // Says hello and logs in; hands in nothing.
      await transport.verify();
      return [ok(`the mail server at ${host} lets us in`)];
    } catch (error) {
      return [
        problem(
          `the mail server at ${host} cannot be used: ${reasonOf(error, secrets)}`,
          'Start it, or change SMTP_URL. Mails wait for it; everything else goes on.',
        ),
      ];
    } finally {
      transport.close();
    }
  },
};

const noServer = ({ auth }: Config): Finding =>
  auth.mode === 'demo'
    ? ok('none is set: in demo mode mails go to the page /inbox')
    : skipped('SMTP_URL is not set: nobody is written to');

const waiting: Check = {
  name: 'waiting mails',
  area,
  async run(subject) {
    const database = await subject.database('user');
    if (!(await hasTable(database, 'mails'))) throw new NotChecked('there are no mails before the migration');
    const { mail: to, auth } = subject.config;
    const { inUse } = await subject.stores();
    const [row] = await database.read<{ waiting: number; oldest: number | null }>(
      "SELECT COUNT(*) AS waiting, MIN(requested_at) AS oldest FROM mails WHERE status = 'REQUESTED'",
    );
    const { waiting: count = 0, oldest = null } = row ?? {};
    if (count === 0 || oldest === null) return [ok('none waits')];
    const age = subject.now() - oldest;
    const what = `mails that wait: ${count.toLocaleString('en')}, the oldest for ${formatDuration(age)}`;
    if (to.smtpUrl === undefined && auth.mode === 'required') {
      return [warning(what, 'Set SMTP_URL: they wait for a mail server. What is of no use any more is not sent then.')];
    }
    if (inUse === false) return [warning(what, 'Start Tributary, which sends them.')];
    if (age < LATE_MS) return [ok(what)];
    return [problem(what, 'Look at the mail server, and into the log of the user-worker, which sends them.')];
  },
};

export const mail: readonly Check[] = [server, waiting];
