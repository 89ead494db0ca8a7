/** Errors of drivers, systems and protocols in words that help, in one line and without secrets. */

const WORDS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'nobody listens there'],
  [/ENOTFOUND|EAI_AGAIN/, 'there is no host of that name'],
  [
    /ETIMEDOUT|ESOCKETTIMEDOUT|Connection timeout|UND_ERR_CONNECT_TIMEOUT|Server selection timed out/,
    'it does not answer',
  ],
  [/EHOSTUNREACH|ENETUNREACH/, 'there is no way to that host'],
  [/ECONNRESET|EPIPE|socket hang up|UND_ERR_SOCKET/, 'it cut the connection'],
  [/CERT_HAS_EXPIRED|certificate has expired/, 'its certificate has expired'],
  [/CERT_NOT_YET_VALID/, 'its certificate is not valid yet'],
  [/ERR_TLS_CERT_ALTNAME_INVALID/, 'its certificate is for another host'],
  [
    /SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF|UNABLE_TO_GET_ISSUER|self-signed certificate|unable to verify the first/,
    'its certificate is signed by nobody who is trusted here',
  ],
  [/EPROTO|ERR_SSL|wrong version number|does not support secure connection|HANDSHAKE_NO_SSL/, 'it does not speak TLS'],
  [
    /ER_ACCESS_DENIED_ERROR|\b1045\b|SASLAuthentication|Authentication failed|AuthenticationFailed|EAUTH/,
    'it does not know this user, or the password is wrong',
  ],
  [/ER_DBACCESS_DENIED|\b1044\b|_AUTHORIZATION_FAILED|Unauthorized|not authorized/, 'this user has no right to it'],
  [/SQLITE_NOTADB|file is not a database/, 'it is no database file'],
  [/SQLITE_CORRUPT|malformed/, 'it is damaged'],
  [/ENOSPC|SQLITE_FULL/, 'the disk is full'],
  [/EACCES|EPERM|SQLITE_CANTOPEN|SQLITE_READONLY/, 'there is no permission to read it'],
];

/** Why something failed: known causes in plain words, others in their own first line. */
export function reasonOf(error: unknown, secrets: readonly string[] = []): string {
  const chain = causesOf(error);
  const told = chain.map(({ text, marks }) => `${text} ${marks}`).join('\n');
  const known = WORDS.find(([pattern]) => pattern.test(told));
  if (known !== undefined) return known[1];
  const own = chain.map(({ text }) => text).findLast((text) => text !== '') ?? 'it failed without a reason';
  return hidden(own.replace(/\.$/, ''), secrets);
}

/** A text without what must not be read. */
export function hidden(text: string, secrets: readonly string[]): string {
  const bare = text.replace(/\/\/[^@\s/]+@/g, '//');
  return secrets.reduce((result, secret) => result.replaceAll(secret, '***'), bare);
}

interface Cause {
  /** First line of the message. */
  readonly text: string;
  /** Its class and codes. */
  readonly marks: string;
}

/** The error, and what caused it, the innermost last. */
function causesOf(error: unknown, depth = 0): Cause[] {
  if (error === undefined || error === null || depth > 6) return [];
  if (typeof error !== 'object') return [{ text: typeof error === 'string' ? error : '', marks: '' }];
  const { name, message, code, errno, type, cause, errors, originalError } = error as Record<string, unknown>;
  const [text = ''] = (typeof message === 'string' ? message : '').split('\n');
  const marks = [name, code, errno, type].filter((mark) => ['string', 'number'].includes(typeof mark)).join(' ');
  const inner = [cause, originalError, ...(Array.isArray(errors) ? (errors as unknown[]) : [])];
  return [{ text, marks }, ...inner.flatMap((one) => causesOf(one, depth + 1))];
}

/** Values of settings that nobody may read in a report. */
export function secretsIn(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const urls = ['MYSQL_URL', 'MONGO_URL', 'SMTP_URL'].flatMap((name) => {
    const [, password = ''] = /^[^:]+:\/\/[^:@/]*:([^@]*)@/.exec(env[name] ?? '') ?? [];
    return [password, decoded(password)];
  });
  const plain = ['IDENTITY_SECRET', 'AUTH_SECRET', 'KAFKA_SASL_PASSWORD'].map((name) => env[name] ?? '');
  return [...new Set([...urls, ...plain])].filter((secret) => secret !== '').sort((a, b) => b.length - a.length);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
