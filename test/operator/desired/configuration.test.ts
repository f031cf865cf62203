import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'smol-toml';
import { loadConfig } from '../../../tracker/config/load.ts';
import { schemaAt } from '../../../tracker/config/schema-tree.ts';
import { configShape } from '../../../tracker/config/schema.ts';
import { validateConfig } from '../../../tracker/config/validation.ts';
import { renderConfiguration } from '../../../operator/desired/configuration.ts';
import { applyMergePatch } from '../../../operator/desired/merge-patch.ts';
import { desiredObjects } from '../../../operator/desired/desired.ts';
import { NOTHING_OBSERVED } from '../../../operator/desired/environment.ts';
import { at, EVERYTHING, find, PLAIN, settle } from '../environments.ts';
import { readExamples, trackerFrom, trackerOf } from '../examples.ts';

function configOf(spec: unknown, environment = PLAIN) {
  const rendered = renderConfiguration(trackerOf(spec), environment);
  assert.ok(rendered.kind === 'valid', JSON.stringify(rendered));
  // The library's tables have no prototype, which a comparison would notice.
  return structuredClone({ ...parse(rendered.toml) });
}

test('every example becomes a file that the tracker takes', () => {
  for (const { resource } of readExamples('.')) {
    const rendered = renderConfiguration(trackerFrom(resource), EVERYTHING);
    assert.ok(rendered.kind === 'valid');
    validateConfig(parse(rendered.toml), () => 'tracker.toml');
  }
});

describe('says in the file', () => {
  const cases: Record<string, { spec: unknown; path: string; value: unknown }> = {
    'who is served: Public': { spec: {}, path: 'core.listed', value: false },
    'who is served: Listed': { spec: { mode: 'Listed' }, path: 'core.listed', value: true },
    'who is served: Private': { spec: { mode: 'Private' }, path: 'core.private', value: true },
    'who is served: PrivateListed': { spec: { mode: 'PrivateListed' }, path: 'core.private', value: true },
    'the shortest interval as the interval': {
      spec: { announce: { intervalSeconds: 120 } },
      path: 'core.announce_policy.interval_min',
      value: 120,
    },
    'the shortest interval as at most 300': {
      spec: { announce: { intervalSeconds: 1800 } },
      path: 'core.announce_policy.interval_min',
      value: 300,
    },
    'that a peer may miss two announces': {
      spec: { announce: { intervalSeconds: 1800 } },
      path: 'core.tracker_policy.max_peer_timeout',
      value: 5400,
    },
    'the address of its own machine for its family alone': {
      spec: { externalIP: '2001:db8::1' },
      path: 'udp_trackers.0.network',
      value: undefined,
    },
    'proxies that are believed': {
      spec: { http: [{ name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] }] },
      path: 'http_trackers.0.network',
      value: { on_reverse_proxy: true, trusted_proxies: ['10.0.0.0/8'] },
    },
    'loopback for the API on a node': {
      spec: { topology: 'HostNode' },
      path: 'http_api.bind_address',
      value: '127.0.0.1:1212',
    },
    'what a patch adds': {
      spec: { config: { core: { tracker_usage_statistics: false } } },
      path: 'core.tracker_usage_statistics',
      value: false,
    },
    'what a patch sets for a listener': {
      spec: { config: { udp_trackers: [{ bind_address: '0.0.0.0:6969', cookie_lifetime: 60 }] } },
      path: 'udp_trackers.0.cookie_lifetime',
      value: 60,
    },
  };
  for (const [title, { spec, path, value }] of Object.entries(cases)) {
    test(title, () => assert.deepEqual(at(configOf(spec), path), value));
  }
});

test('an address family that the cluster lacks has no listener', () => {
  const addresses = (environment: typeof PLAIN) => {
    const trackers = configOf({}, environment)['udp_trackers'];
    return Array.isArray(trackers) ? trackers.map((tracker) => at(tracker, 'bind_address')) : [];
  };
  assert.deepEqual(addresses(PLAIN), ['0.0.0.0:6969']);
  assert.deepEqual(addresses({ ...PLAIN, ipFamilies: [6] }), ['[::]:6969']);
  assert.deepEqual(addresses({ ...PLAIN, ipFamilies: [6, 4] }), ['0.0.0.0:6969', '[::]:6969']);
});

test('tables that the tracker does not know yet are left out', () => {
  const config = configOf({ swarm: { snapshot: { enabled: true } } });
  for (const path of ['metrics', 'swarm.snapshot']) {
    const isKnown = schemaAt(configShape, path.split('.')) !== undefined;
    assert.equal(at(config, path) !== undefined, isKnown, path);
  }
});

describe('on a node, the API, the health check and the metrics bind its own address', () => {
  const cases: Record<string, { families: readonly (4 | 6)[]; node: string; bound: string }> = {
    'of IPv4': { families: [4], node: '10.0.0.5', bound: '10.0.0.5:1212' },
    'of IPv6': { families: [6, 4], node: 'fd00::5', bound: '[fd00::5]:1212' },
  };
  for (const [title, { families, node, bound }] of Object.entries(cases)) {
    test(title, (context) => {
      const folder = mkdtempSync(join(tmpdir(), 'operator-'));
      context.after(() => rmSync(folder, { recursive: true }));
      const path = join(folder, 'tracker.toml');
      const { objects } = settle(trackerOf({ topology: 'HostNode' }), { ...PLAIN, ipFamilies: families });
      writeFileSync(
        path,
        String(Object.values(at(find(objects, 'ConfigMap', 'sample-config'), 'data') ?? {})[0]),
      );
      const variables = at(find(objects, 'DaemonSet', 'sample'), 'spec.template.spec.containers.0.env');
      assert.ok(Array.isArray(variables));
      // As the kubelet does.
      const env = Object.fromEntries(
        variables.map((variable: unknown) => [
          String(at(variable, 'name')),
          String(at(variable, 'value')).replace('$(NODE_ADDRESS)', node),
        ]),
      );
      const { config } = loadConfig({ path, env, cwd: folder });
      assert.equal(config.http_api?.bind_address, bound);
      assert.equal(config.health_check_api.bind_address, bound.replace('1212', '1313'));
      assert.equal(config.metrics.bind_address, bound.replace('1212', '1314'));
      assert.ok(
        config.udp_trackers.every(({ bind_address: address }) => /^(0\.0\.0\.0|\[::\]):6969$/.test(address)),
      );
    });
  }
});

describe('refuses a patch that', () => {
  const cases: Record<string, { config: unknown; reason: string; says: RegExp }> = {
    'moves a listener': {
      config: { udp_trackers: [{ bind_address: '0.0.0.0:1' }] },
      reason: 'ConfigConflict',
      says: /^spec\.config\.udp_trackers changes what the operator renders: say it in spec\.udp instead\.$/,
    },
    'removes the health check': {
      config: { health_check_api: null },
      reason: 'ConfigConflict',
      says: /the probes of the pod need it/,
    },
    'takes another database': {
      config: { core: { database: { path: '/tmp/x' } } },
      reason: 'ConfigConflict',
      says: /say it in spec\.database instead/,
    },
    'holds a token, which it does not show': {
      config: { http_api: { access_tokens: { me: 'hush' } } },
      reason: 'SecretInConfig',
      says: /^(?!.*hush).*would end in a ConfigMap/s,
    },
    'has a key that nobody knows, with a guess': {
      config: { udp_tracker_server: { max_connection_id_error_per_ip: 1 } },
      reason: 'InvalidConfig',
      says: /is not a known key; did you mean udp_tracker_server\.max_connection_id_errors_per_ip\?/,
    },
    'has a value that is none': {
      config: { core: { announce_policy: { interval: 0 } } },
      reason: 'InvalidConfig',
      says: /core\.announce_policy\.interval is 0; allowed: a whole number/,
    },
  };
  for (const [title, { config, reason, says }] of Object.entries(cases)) {
    test(title, () => {
      const rendered = renderConfiguration(trackerOf({ config }), PLAIN);
      assert.ok(rendered.kind === 'invalid');
      const [problem] = rendered.problems;
      assert.equal(problem?.condition, 'ConfigValid');
      assert.equal(problem?.reason, reason);
      assert.match(problem?.message ?? '', says);
    });
  }
});

test('a mistake in the patch leaves the pods and their configuration as they are, and mends the rest', () => {
  const tracker = trackerOf({ config: { nonsense: 1 } });
  const { objects, kept, configHash } = desiredObjects(tracker, PLAIN, NOTHING_OBSERVED);
  assert.deepEqual(
    kept.map(({ kind, name }) => `${kind} ${name}`),
    ['ConfigMap sample-config', 'StatefulSet sample'],
  );
  assert.equal(configHash, undefined);
  assert.ok(objects.some(({ kind }) => kind === 'Service'));
  assert.ok(objects.every(({ kind }) => kind !== 'ConfigMap' && kind !== 'StatefulSet'));
});

describe('a merge patch (RFC 7396, appendix A)', () => {
  const cases: [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of cases) {
    test(`${JSON.stringify(target)} and ${JSON.stringify(patch)}`, () => {
      assert.deepEqual(applyMergePatch(target, patch), result);
    });
  }
});
