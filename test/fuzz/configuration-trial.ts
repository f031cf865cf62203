/**
 * Configurations of every layout, changed, with variables laid over them: each is taken or refused by one error that a
 * person can read, and no message tells a secret.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../tracker/config/errors.ts';
import { defaultConfigText } from '../../tracker/config/generate.ts';
import { loadConfig } from '../../tracker/config/load.ts';
import { overridePrefix } from '../../tracker/config/overrides.ts';
import { printConfig } from '../../tracker/config/print.ts';
import { textVariable } from '../../tracker/config/source.ts';
import { mutate, type Random } from './random.ts';

const MAX_BYTES = 8_000;
const SECRET = 'Hush-5f3a9c-Hush';

/** The configurations of the documentation, each with the secret wherever it has one. */
const CORPUS = [
  ...globSync(join(import.meta.dirname, '../config/fixtures/*.toml'))
    .toSorted()
    .map((path) => readFileSync(path, 'utf8')),
  defaultConfigText(SECRET),
].map((text) => Buffer.from(text.replaceAll(/^(\s*(?:admin|password)\s*=\s*)"[^"]*"/gm, `$1"${SECRET}"`)));

const PIECES = [
  '[',
  '[[',
  ']',
  '=',
  '"',
  "'''",
  '{',
  '}',
  '\n',
  'true',
  '-1',
  '0.0.0.0:0',
  '[::]:70000',
  '1e400',
  '2020-01-01',
  '[[udp_trackers]]\n',
  '[core.database]\ndriver = "mysql"\n',
  '[swarm.snapshot]\npath = "x"\n',
  '__proto__ = 1\n',
  '[constructor.prototype]\nx = 1\n',
].map((text) => Buffer.from(text));
const OVERRIDES = [
  'CORE__LISTED',
  'CORE__DATABASE__DRIVER',
  'HTTP_API__ACCESS_TOKENS__ADMIN',
  'UDP_TRACKERS',
  'METADATA__SCHEMA_VERSION',
  '__PROTO____X',
  'CORE____LISTED',
];

export class ConfigurationTrial {
  readonly counts = { taken: 0, refused: 0 };

  judge(random: Random): void {
    const text = mutate(random, random.pick(CORPUS), PIECES, MAX_BYTES).toString('latin1');
    const env: Record<string, string> = { [textVariable]: text };
    if (random.oneIn(3)) {
      const isSecret = random.oneIn(2);
      const name = isSecret ? 'HTTP_API__ACCESS_TOKENS__ADMIN' : random.pick(OVERRIDES);
      env[overridePrefix + name] = isSecret ? SECRET : random.pick(PIECES).toString();
    }
    // Where a change made it the value of something else, nobody can know that it was one.
    const secret = text.split('\n').every(isHarmless) ? SECRET : '(none)';
    try {
      const { config, warnings } = loadConfig({ env, cwd: tmpdir(), generate: false });
      assert.ok(!warnings.some((warning) => warning.includes(secret)), 'a warning tells a secret');
      assert.ok(!printConfig(config).includes(secret), 'what is printed tells a secret');
      this.counts.taken++;
    } catch (cause) {
      if (!(cause instanceof ConfigError) || cause.message.includes(secret) || cause.message === '') {
        throw new Error(`the configuration ${JSON.stringify(env)}`, { cause });
      }
      this.counts.refused++;
    }
    assert.ok(!('x' in {}), 'no object has become another one');
  }
}

/** Whether a line has no secret but as the value of a key that holds one. */
function isHarmless(line: string): boolean {
  return !line.includes(SECRET) || /^\s*(admin|password)\s*=\s*"[^"]*"\s*$/.test(line);
}
