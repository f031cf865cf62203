/**
 * Generated Secrets and Secrets of users, with real keys and certificates.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import type { TorrustTracker } from '../../../operator/crd/tracker.ts';
import { judgePair } from '../../../operator/desired/certificates.ts';
import { desiredObjects } from '../../../operator/desired/desired.ts';
import { type Environment, NOTHING_OBSERVED, type Observed } from '../../../operator/desired/environment.ts';
import { judgeSecrets } from '../../../operator/desired/secret-verdicts.ts';
import { makeMaterials, type Pair } from '../../../operator/key-material.ts';
import { EVERYTHING, observe, secretOf, withSecrets } from '../environments.ts';
import { trackerOf } from '../examples.ts';

const DAY = 86_400_000;
const NOW = EVERYTHING.now;

function later(days: number): Environment {
  return { ...EVERYTHING, now: new Date(NOW.getTime() + days * DAY) };
}

/** Fulfils what is due and returns what is there afterwards. */
async function run(tracker: TorrustTracker, environment: Environment, observed: Observed = NOTHING_OBSERVED) {
  const { orders } = desiredObjects(tracker, environment, observed);
  const authorities = new Map(
    [...observed.secrets].map(([name, { data }]): [string, Pair] => [
      name,
      { certificate: data.get('tls.crt') ?? '', key: data.get('tls.key') ?? '' },
    ]),
  );
  const materials = await makeMaterials(orders, authorities, environment.now);
  const desired = desiredObjects(tracker, environment, observed, materials);
  return { ordered: orders.map(({ name }) => name), observed: observe(desired), nextAt: desired.nextAt };
}

const selfSigned = trackerOf({
  udp: [],
  http: [{ name: 'web', port: 7443, publicURL: 'https://192.0.2.1:7443/announce', tls: { selfSigned: {} } }],
});

function certificateIn({ secrets }: Observed, name: string): X509Certificate {
  return new X509Certificate(secrets.get(name)?.data.get('tls.crt') ?? '');
}

describe('self-signed certificates', () => {
  test('are of the authority beside them, for the Service and the public URL', async () => {
    const { observed, ordered } = await run(selfSigned, EVERYTHING);
    assert.deepEqual(ordered, ['sample-api-token', 'sample-ca', 'sample-http-web-tls']);
    const certificate = certificateIn(observed, 'sample-http-web-tls');
    const authority = new X509Certificate(
      observed.secrets.get('sample-http-web-tls')?.data.get('ca.crt') ?? '',
    );
    assert.ok(certificate.verify(authority.publicKey));
    assert.ok(certificate.checkIssued(authority));
    for (const host of [
      'sample-http',
      'sample-http.default',
      'sample-http.default.svc',
      'sample-http.default.svc.cluster.local',
    ]) {
      assert.equal(certificate.checkHost(host), host);
    }
    assert.equal(certificate.checkIP('192.0.2.1'), '192.0.2.1');
  });

  test('stay until a third of their life is left, then are issued anew by the same authority', async () => {
    const first = await run(selfSigned, EVERYTHING);
    const quiet = await run(selfSigned, later(59), first.observed);
    assert.deepEqual(quiet.ordered, []);
    assert.deepEqual(quiet.observed, first.observed);
    assert.ok(
      first.nextAt !== undefined && Math.abs(first.nextAt.getTime() - later(60).now.getTime()) < DAY / 24,
    );
    const renewed = await run(selfSigned, later(61), quiet.observed);
    assert.deepEqual(renewed.ordered, ['sample-http-web-tls']);
    assert.notDeepEqual(
      certificateIn(renewed.observed, 'sample-http-web-tls').serialNumber,
      certificateIn(first.observed, 'sample-http-web-tls').serialNumber,
    );
    assert.deepEqual((await run(selfSigned, later(61), renewed.observed)).ordered, []);
  });

  test('go with their authority', async () => {
    const first = await run(selfSigned, EVERYTHING);
    const renewed = await run(selfSigned, later(2500), first.observed);
    assert.deepEqual(renewed.ordered, ['sample-ca', 'sample-http-web-tls']);
    const lost = new Map(first.observed.secrets);
    lost.delete('sample-ca');
    const again = await run(selfSigned, EVERYTHING, { ...first.observed, secrets: lost });
    assert.deepEqual(again.ordered, ['sample-ca', 'sample-http-web-tls']);
  });

  test('are issued anew for other names', async () => {
    const first = await run(selfSigned, EVERYTHING);
    const [web] = selfSigned.spec.http;
    assert.ok(web !== undefined);
    const http = [{ ...web, publicURL: 'https://tracker.example/announce' }];
    const moved = await run(
      { ...selfSigned, spec: { ...selfSigned.spec, http } },
      EVERYTHING,
      first.observed,
    );
    assert.deepEqual(moved.ordered, ['sample-http-web-tls']);
    assert.equal(
      certificateIn(moved.observed, 'sample-http-web-tls').checkHost('tracker.example'),
      'tracker.example',
    );
  });

  test('of somebody else stay as long as they can be served', async () => {
    const first = await run(selfSigned, EVERYTHING);
    const other = await makeMaterials(
      [
        { kind: 'authority', name: 'ca', commonName: 'somebody else', days: 100 },
        {
          kind: 'certificate',
          name: 'own',
          authority: 'ca',
          dnsNames: ['a.example'],
          ipAddresses: [],
          days: 100,
        },
      ],
      new Map(),
      NOW,
    );
    const own = other.get('own');
    assert.ok(own?.kind === 'pair');
    const put = (pair: Pair) => {
      const secrets = new Map(first.observed.secrets);
      secrets.set('sample-http-web-tls', secretOf({ 'tls.crt': pair.certificate, 'tls.key': pair.key }));
      return { ...first.observed, secrets };
    };
    assert.deepEqual(
      (await run(selfSigned, later(99), put(own))).ordered.includes('sample-http-web-tls'),
      false,
    );
    assert.deepEqual((await run(selfSigned, later(101), put(own))).ordered, ['sample-http-web-tls']);
    const authority = other.get('ca');
    assert.ok(authority?.kind === 'pair');
    const mixed = put({ certificate: own.certificate, key: authority.key });
    assert.deepEqual((await run(selfSigned, EVERYTHING, mixed)).ordered, ['sample-http-web-tls']);
  });
});

describe('a generated token', () => {
  const tracker = trackerOf({ udp: [] });
  const orderedFor = (data: Record<string, string>) =>
    run(tracker, EVERYTHING, withSecrets({ 'sample-api-token': secretOf(data) }));
  test('of the user’s own is kept', async () => {
    const { ordered, observed } = await orderedFor({ admin: 'chosen' });
    assert.deepEqual(ordered, []);
    assert.equal(observed.secrets.get('sample-api-token')?.data.get('admin'), 'chosen');
  });
  for (const [title, data] of Object.entries({
    empty: { admin: '' },
    unsendable: { admin: 'schlüssel' },
    missing: {},
  })) {
    test(`that is ${title} is replaced`, async () => {
      const { ordered, observed } = await orderedFor(data);
      assert.deepEqual(ordered, ['sample-api-token']);
      assert.match(observed.secrets.get('sample-api-token')?.data.get('admin') ?? '', /^[\w-]{43}$/);
    });
  }
});

describe('keys of connection ids', () => {
  const tracker = trackerOf({ http: [] });
  const keysIn = ({ secrets }: Observed) =>
    secrets.get('sample-connection-id')?.data.get('keys')?.trim().split('\n') ?? [];
  test('rotate in three steps', async () => {
    const first = await run(tracker, EVERYTHING);
    assert.equal(keysIn(first.observed).length, 1);
    const added = await run(tracker, later(1), first.observed);
    assert.deepEqual(added.ordered, ['sample-connection-id']);
    assert.deepEqual(
      keysIn(added.observed).map((line) => line.startsWith('*')),
      [true, false],
    );
    const early = await run(tracker, later(1 + 4 / 1440), added.observed);
    assert.deepEqual(keysIn(early.observed), keysIn(added.observed));
    const promoted = await run(tracker, later(1 + 6 / 1440), added.observed);
    assert.deepEqual(
      keysIn(promoted.observed).map((line) => line.startsWith('*')),
      [false, true],
    );
    const settled = await run(tracker, later(1 + 12 / 1440), promoted.observed);
    assert.deepEqual(keysIn(settled.observed), [keysIn(promoted.observed)[1]]);
  });
  test('stay as long as lenient validation needs them', async () => {
    const lenient = trackerOf({
      http: [],
      config: { udp_tracker_server: { connection_id_validation: 'lenient' } },
    });
    const first = await run(lenient, EVERYTHING);
    const added = await run(lenient, later(1), first.observed);
    const promoted = await run(lenient, later(1 + 6 / 1440), added.observed);
    assert.equal(keysIn((await run(lenient, later(1 + 60 / 1440), promoted.observed)).observed).length, 2);
    assert.equal(keysIn((await run(lenient, later(1 + 67 / 1440), promoted.observed)).observed).length, 1);
  });
});

describe('a Secret of the user’s', async () => {
  const pairs = await makeMaterials(
    [
      { kind: 'authority', name: 'a', commonName: 'a', days: 10 },
      { kind: 'authority', name: 'b', commonName: 'b', days: 10 },
    ],
    new Map(),
    NOW,
  );
  const [a, b] = ['a', 'b'].map((name) => {
    const material = pairs.get(name);
    assert.ok(material?.kind === 'pair');
    return material;
  });
  assert.ok(a !== undefined && b !== undefined);
  const spec = {
    api: { tokenSecretRef: { name: 'token', key: 'mine' } },
    http: [{ name: 'web', port: 7443, tls: { secretName: 'pair' } }],
    database: {
      mysql: {
        host: 'h',
        database: 'd',
        credentialsSecretRef: { name: 'db' },
        tls: { caSecretRef: { name: 'ca' } },
      },
    },
  };
  const good = {
    token: secretOf({ mine: 'hush', other: 'spaces are no matter here' }),
    pair: secretOf({ 'tls.crt': a.certificate, 'tls.key': a.key }),
    db: secretOf({ username: 'u', password: 'hush' }),
    ca: secretOf({ 'ca.crt': b.certificate }),
  };
  const judge = (secrets: typeof good, days = 0) =>
    judgeSecrets(trackerOf(spec), withSecrets(secrets), later(days).now);

  test('that is whole is no problem, and its certificate’s end is told', () => {
    const { problems, certificates } = judge(good);
    assert.deepEqual(problems, []);
    assert.deepEqual(certificates, [
      { listener: 'http-web', secretName: 'pair', notAfter: new X509Certificate(a.certificate).validToDate },
    ]);
  });

  const cases: Record<
    string,
    { secrets: Partial<typeof good>; reason: string; says: RegExp; days?: number }
  > = {
    'without a key': {
      secrets: { db: secretOf({ username: 'u' }) },
      reason: 'SecretIncomplete',
      says: /The Secret db of spec\.database\.mysql\.credentialsSecretRef lacks password: it needs the keys username and password\./,
    },
    'with an empty key': {
      secrets: { token: secretOf({ mine: '' }) },
      reason: 'SecretIncomplete',
      says: /The Secret token of spec\.api\.tokenSecretRef lacks mine/,
    },
    'with a token that no header carries': {
      secrets: { token: secretOf({ mine: 'hush hüsh' }) },
      reason: 'SecretInvalid',
      says: /^(?!.*hush).*printable ASCII/s,
    },
    'with another key than its certificate’s': {
      secrets: { pair: secretOf({ 'tls.crt': a.certificate, 'tls.key': b.key }) },
      reason: 'SecretInvalid',
      says: /tls\.key does not belong to tls\.crt/,
    },
    'with a certificate that is none': {
      secrets: { pair: secretOf({ 'tls.crt': 'x', 'tls.key': a.key }) },
      reason: 'SecretInvalid',
      says: /tls\.crt holds no certificate in PEM/,
    },
    'with a key that is none': {
      secrets: { pair: secretOf({ 'tls.crt': a.certificate, 'tls.key': 'x' }) },
      reason: 'SecretInvalid',
      says: /tls\.key holds no private key in PEM/,
    },
    'with an authority that is none': {
      secrets: { ca: secretOf({ 'ca.crt': 'x' }) },
      reason: 'SecretInvalid',
      says: /holds no certificate in PEM/,
    },
    'whose certificate has expired': {
      secrets: {},
      days: 11,
      reason: 'CertificateExpired',
      says: /expired at .*: renew it; a new one is served without a restart/,
    },
  };
  for (const [title, { secrets, reason, says, days }] of Object.entries(cases)) {
    test(`${title} is told`, () => {
      const { problems } = judge({ ...good, ...secrets }, days);
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.reason, reason);
      assert.match(problems[0]?.message ?? '', says);
    });
  }

  test('may hold other keys, which are no tokens of the API', () => {
    const { objects } = desiredObjects(trackerOf(spec), EVERYTHING, withSecrets(good));
    const volume = JSON.stringify(objects.find(({ apiVersion }) => apiVersion === 'apps/v1'));
    assert.match(
      volume,
      /"secretName":"token","defaultMode":288,"items":\[\{"key":"mine","path":"admin"\}\]/,
    );
  });

  test('is judged as a server would', () => {
    assert.equal(judgePair(a.certificate, a.key, NOW).kind, 'usable');
    assert.equal(judgePair(a.certificate, a.key, later(11).now).kind, 'expired');
  });
});
