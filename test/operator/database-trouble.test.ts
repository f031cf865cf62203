import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeDatabaseTrouble } from '../../operator/database-trouble.ts';
import { trackerOf } from './examples.ts';

const MYSQL = trackerOf({
  database: { mysql: { host: 'db.example', database: 'torrust', credentialsSecretRef: { name: 'login' } } },
});

describe('What to do is told of', () => {
  const cases: Record<string, { said: string; told: RegExp }> = {
    'a wrong password': {
      said: "Access denied for user 'u'@'10.0.0.1' (using password: YES)",
      told: /: correct username and password in the Secret login; /,
    },
    'a right that is missing': {
      said: "Access denied for user 'u'@'%' to database 'torrust'",
      told: /: grant the user the database torrust on the server\./,
    },
    'a database that does not exist': {
      said: "Unknown database 'torrust'",
      told: /: make the database torrust on the server, or name another/,
    },
    'a name that nobody knows': {
      said: 'getaddrinfo ENOTFOUND db.example',
      told: /: see that db\.example is the right name in spec\.database\.mysql\.host/,
    },
    'an authority that did not sign': {
      said: 'self-signed certificate in certificate chain',
      told: /: see that spec\.database\.mysql\.tls fits/,
    },
    'too many connections': { said: 'Too many connections', told: /: see to the server's limits\./ },
    'a server that is away': {
      said: 'connect ECONNREFUSED 10.0.0.9:3306',
      told: /^MySQL at db\.example:3306 does not answer \(connect ECONNREFUSED 10\.0\.0\.9:3306\): see that the server runs/,
    },
  };
  for (const [title, { said, told }] of Object.entries(cases)) {
    test(title, () => {
      assert.match(describeDatabaseTrouble(MYSQL, `the database does not answer: ${said}`, true), told);
    });
  }
  test('SQLite on a full volume', () => {
    const sentence = describeDatabaseTrouble(trackerOf({}), 'database or disk is full', true);
    assert.match(sentence, /^SQLite on the volume does not answer \(database or disk is full\): .* has room/);
  });
});

test('it is told whether announces go on', () => {
  const tell = (isServing: boolean) => describeDatabaseTrouble(MYSQL, 'x', isServing);
  assert.match(tell(true), /Announces go on, and what needs the database waits\.$/);
  assert.match(tell(false), /The pods wait for it, and go on by themselves when it answers\.$/);
});
