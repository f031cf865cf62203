import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { migrateConfig, printConfig } from '../../tracker/config/print.ts';
import type { TrackerConfig } from '../../tracker/config/schema.ts';
import { parseToml } from '../../tracker/config/toml.ts';
import { validateConfig } from '../../tracker/config/validation.ts';
import { fixture, loadText, validate } from './sample.ts';

const seconds = fc.integer({ min: 1, max: 4294967295 });
const secret = fc.string({ minLength: 1 }).filter((text) => /^[\x21-\x7e]+$/.test(text));
const label = fc.string({ minLength: 1 }).filter((text) => text !== '__proto__');
const path = fc.string({ minLength: 1 }).map((text) => `/${text.replaceAll('\0', '')}`);
const publicUrl = fc.constantFrom(undefined, 'https://tracker.example.com/announce');
const tls = fc.option(fc.record({ ssl_cert_path: path, ssl_key_path: path }), { nil: undefined });
const udpPort = fc.integer({ min: 1, max: 65535 });

const anyConfig: fc.Arbitrary<TrackerConfig> = fc
  .record({
    filter: fc.constantFrom('off', 'error', 'warn', 'info', 'debug', 'trace'),
    style: fc.constantFrom(undefined, 'full', 'pretty', 'compact', 'json'),
    listed: fc.boolean(),
    isPrivate: fc.boolean(),
    interval: seconds,
    timeout: seconds,
    database: fc.oneof(
      fc.record({ driver: fc.constant('sqlite3'), path }),
      fc.record({
        driver: fc.constant('mysql'),
        host: fc.constant('db'),
        user: label,
        password: secret,
        database: label,
      }),
    ),
    ports: fc.uniqueArray(udpPort, { maxLength: 4 }),
    externalIp: fc.constantFrom(undefined, '203.0.113.10', '2001:db8::1'),
    httpTls: tls,
    proxies: fc.array(fc.constantFrom('10.0.0.0/8', '2001:db8::/32')),
    url: publicUrl,
    tokens: fc.option(fc.dictionary(label, secret, { noNullPrototype: true }), { nil: undefined }),
    memory: fc.constantFrom('auto', '512MiB', '2GB'),
    workers: fc.oneof(fc.constant('auto'), fc.integer({ min: 1, max: 1024 })),
  })
  .map((parts) =>
    validate({
      'logging.trace_filter': parts.filter,
      ...(parts.style && { 'logging.trace_style': parts.style }),
      'core.listed': parts.listed,
      'core.private': parts.isPrivate,
      'core.announce_policy.interval': parts.interval,
      'core.tracker_policy.max_peer_timeout': parts.timeout,
      'core.database': parts.database,
      udp_trackers: parts.ports.map((port) => ({
        bind_address: `0.0.0.0:${port}`,
        network: { ...(parts.externalIp && { external_ip: parts.externalIp }) },
      })),
      http_trackers: [
        {
          bind_address: '127.0.0.1:0',
          ...(parts.httpTls && { tls_config: parts.httpTls }),
          network: { trusted_proxies: parts.proxies },
          ...(parts.url && { public_url: parts.url }),
        },
      ],
      ...(parts.tokens && { http_api: { bind_address: '127.0.0.1:0', access_tokens: parts.tokens } }),
      'swarm.memory': parts.memory,
      'network.workers': parts.workers,
    }),
  );

const read = (toml: string) => validateConfig(parseToml(toml, 'printed'), () => 'printed');

suite('a configuration that is printed', () => {
  test('is read back as it was, when it is written with its secrets', () => {
    fc.assert(
      fc.property(anyConfig, (config) => {
        assert.deepEqual(read(migrateConfig(config).toml), config);
      }),
      { numRuns: 200 },
    );
  });

  test('is read back with *** in place of every secret', () => {
    fc.assert(
      fc.property(anyConfig, (config) => {
        const expected = structuredClone(config);
        if (expected.core.database?.password !== undefined) expected.core.database.password = '***';
        for (const name of Object.keys(expected.http_api?.access_tokens ?? {})) {
          if (expected.http_api) expected.http_api.access_tokens[name] = '***';
        }
        assert.deepEqual(read(printConfig(config)), expected);
      }),
      { numRuns: 200 },
    );
  });

  test('hides tokens, passwords and the password inside a URL', () => {
    const printed = [
      validate({ 'http_api.access_tokens': { admin: 'hush-token' } }),
      validate({
        'core.database': {
          driver: 'mysql',
          host: 'db',
          user: 'me',
          database: 'x',
          password: 'hush-password',
        },
      }),
      validate({ 'core.database': { driver: 'mysql', path: 'mysql://me:hush@db:3306/x' } }),
      loadText(fixture('v2-everything.toml')).config,
    ].map(printConfig);
    assert.ok(!/hush|first-token|second-token|p#ss/.test(printed.join('\n')));
    assert.match(printed[0] ?? '', /admin = "\*\*\*"/);
    assert.match(printed[1] ?? '', /password = "\*\*\*"/);
    assert.match(printed[2] ?? '', /path = "mysql:\/\/me:\*\*\*@db:3306\/x"/);
  });
});

suite('a migrated configuration', () => {
  for (const name of ['v2-everything.toml', 'flat-everything.toml']) {
    test(`of ${name} says in 3.0.0 what the old file said`, () => {
      const { config } = loadText(fixture(name));
      const { toml, warnings } = migrateConfig(config);
      const again = loadText(toml);
      assert.equal(again.generation, '3.0.0');
      assert.deepEqual(again.config, config);
      assert.deepEqual(warnings, []);
    });
  }

  test('leaves out the wildcard of 2.0.0, which 3.0.0 cannot say, and says so', () => {
    const { config } = loadText(fixture('v2-development-sqlite3.toml'));
    const { toml, warnings } = migrateConfig(config);
    assert.equal(loadText(toml).config.udp_trackers[0]?.network.external_ip, undefined);
    assert.equal(config.udp_trackers[0]?.network.external_ip, '0.0.0.0');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /external_ip = "0\.0\.0\.0" cannot be said in schema 3\.0\.0/);
  });
});
