/**
 * What to do about a database that does not answer, by what its driver told the tracker: the words of MySQL and MariaDB
 * and of Node's sockets are stable, and each asks for something else of the user.
 * https://mariadb.com/docs/server/reference/error-codes
 */
import type { TorrustTracker } from './crd/tracker.ts';

type Mysql = NonNullable<NonNullable<TorrustTracker['spec']['database']>['mysql']>;

/** How the tracker begins the sentence. */
const TRACKERS_WORDS = /^the database does not answer: /;

/** What a text of the driver asks for; the first that fits. */
const ADVICE: readonly { readonly said: RegExp; readonly advice: (mysql: Mysql) => string }[] = [
  {
    said: /access denied for user .* to database/i,
    advice: ({ database }) => `grant the user the database ${database} on the server`,
  },
  {
    said: /access denied/i,
    advice: ({ credentialsSecretRef: { name } }) =>
      `correct username and password in the Secret ${name}; they are taken over by themselves`,
  },
  {
    said: /unknown database/i,
    advice: ({ database }) =>
      `make the database ${database} on the server, or name another in spec.database.mysql`,
  },
  {
    said: /ENOTFOUND|EAI_AGAIN/,
    advice: ({ host }) =>
      `see that ${host} is the right name in spec.database.mysql.host and that DNS knows it`,
  },
  {
    said: /certificate|ssl|tls/i,
    advice: () => 'see that spec.database.mysql.tls fits what the server offers and names its authority',
  },
  {
    said: /too many connections|blocked|resource/i,
    advice: () => "see to the server's limits",
  },
];

/**
 * One sentence about a database that does not answer. `said` is the tracker's word; `isServing` whether a pod takes
 * traffic meanwhile.
 */
export function describeDatabaseTrouble({ spec }: TorrustTracker, said: string, isServing: boolean): string {
  const mysql = spec.database?.mysql;
  const detail = said.replace(TRACKERS_WORDS, '');
  const meanwhile = isServing
    ? 'Announces go on, and what needs the database waits.'
    : 'The pods wait for it, and go on by themselves when it answers.';
  if (mysql === undefined) {
    return `SQLite on the volume does not answer (${detail}): see that the volume is there, can be written and has room. ${meanwhile}`;
  }
  const advice =
    ADVICE.find((each) => each.said.test(detail))?.advice(mysql) ??
    'see that the server runs, that host and port in spec.database.mysql lead to it, and that no NetworkPolicy is in the way';
  return `MySQL at ${mysql.host}:${mysql.port} does not answer (${detail}): ${advice}. ${meanwhile}`;
}
