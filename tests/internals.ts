import { expect } from '@jest/globals';

/** What tells how the system is made: stacks, SQL, hosts, ports, paths, modules. */
const INTERNALS: readonly RegExp[] = [
  /\bat .+ \(.+:\d+:\d+\)/,
  /\bat \S+ \S*:\d+:\d+/,
  /stacktrace|"stack"/i,
  /node_modules|\/srv\/|\/work\/|\/home\/|file:\/\/|\.[jt]s:\d/,
  /\bSELECT\b|\bINSERT\b|ER_[A-Z_]+|SQLITE|Mongo|Kafka|mysql/i,
  /ECONN|ENOTFOUND|EAI_AGAIN|UND_ERR|socket hang up|other side closed|fetch failed/,
  /127\.0\.0\.1|localhost|10\.1\.2\.3|\.internal|\.invalid|:\d{4,5}\b/,
  /secret/i,
  /TypeError|ReferenceError|serviceName|undefined is not/,
];

/** For the text of an answer, whatever went wrong. */
export function expectNothingInternal(text: string): void {
  for (const internal of INTERNALS) expect(text).not.toMatch(internal);
}

/** What an engine's error may say, for tests that let one happen. */
export const SECRETS =
  "Error: ER_DUP_ENTRY: SELECT * FROM users WHERE id = 'x' at Object.<anonymous> (/srv/app/node_modules/mysql2/index.js:1:1) connect ECONNREFUSED 10.1.2.3:3306 mysql.internal MongoServerError KafkaJSError";
