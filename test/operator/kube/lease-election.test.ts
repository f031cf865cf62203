/** One leader at a time, whatever clocks say and however the API server falters. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import type { KubeObject } from '../../../operator/kube/kube-object.ts';
import { type Election, leaseNamespace, startElection } from '../../../operator/kube/lease-election.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { waitFor } from '../../support/waiting.ts';
import { createManualClock, type ManualClock } from './clocks.ts';
import { createLog } from './logs.ts';
import {
  openScriptedServer,
  type Script,
  type ScriptedServer,
  sendJson,
  sendStatus,
} from './scripted-server.ts';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/own/leases';
const SIX_DIGITS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

interface Spec {
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  readonly acquireTime: string;
  readonly renewTime: string;
  readonly leaseTransitions: number;
}

interface Candidate {
  readonly election: Election;
  readonly clock: ManualClock;
  readonly registry: Registry;
  readonly lost: Error[];
  readonly connection: Connection;
}

/** The Lease as the server has it. */
let lease: (KubeObject & { readonly spec: Spec }) | undefined;
let version = 1;
let server: ScriptedServer;
let candidates: Candidate[];

/** Stores a Lease as an API server does, with optimistic concurrency. */
const store: Script = ({ method, path, body, response }) => {
  const sent = body as typeof lease;
  const put = () => {
    version += 1;
    assert(sent !== undefined);
    lease = { ...sent, metadata: { ...sent.metadata, resourceVersion: String(version), uid: 'lease' } };
    sendJson(response, lease);
  };
  assert.ok(path.startsWith(PATH), path);
  if (method === 'POST') return lease === undefined ? put() : sendStatus(response, 409, 'AlreadyExists');
  if (lease === undefined) return sendStatus(response, 404, 'NotFound');
  if (method === 'GET') return sendJson(response, lease);
  if (lease.metadata.resourceVersion !== sent?.metadata.resourceVersion) {
    return sendStatus(response, 409, 'Conflict');
  }
  return put();
};

function enter(identity?: string, clock = createManualClock()): Candidate {
  const connection = Connection.parse(server.kubeconfig);
  const registry = new Registry();
  const metrics = createKubeMetrics(registry);
  const lost: Error[] = [];
  const election = startElection({
    client: new KubeClient(connection, metrics.client),
    namespace: 'own',
    name: 'torrust-operator',
    ...(identity !== undefined && { identity }),
    metrics: metrics.leader,
    log: createLog(),
    onLost: (reason) => void lost.push(reason),
    clock,
    random: () => 0.5,
  });
  const candidate = { election, clock, registry, lost, connection };
  candidates.push(candidate);
  return candidate;
}

/** Waits until a candidate waits for its clock. */
async function settle({ clock, election, lost }: Candidate): Promise<void> {
  // The leader has a timer for its deadline and one for its next renewal.
  const timers = () => (lost.length > 0 ? 0 : election.holds() ? 2 : 1);
  await waitFor('the candidate to wait', () => clock.pending === timers(), 10_000);
}

/** Lets time go by for some candidates, in steps that are shorter than any wait of theirs. */
async function letPass(seconds: number, ...some: Candidate[]): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 1) {
    for (const candidate of some) {
      candidate.clock.advance(1_000);
      await settle(candidate);
    }
  }
}

beforeEach(async () => {
  lease = undefined;
  candidates = [];
  server = await openScriptedServer(store);
});
afterEach(async () => {
  await Promise.all(candidates.map(({ election }) => election.close()));
  for (const { clock, connection } of candidates) {
    assert.equal(clock.pending, 0);
    await connection.close();
  }
  await server.close();
});

describe('the leader', () => {
  test('is who makes the Lease, with times of six digits', async () => {
    const one = enter('one');
    await one.election.acquired;
    assert.equal(one.election.holds(), true);
    assert.deepEqual(
      server.requests.map(({ method, path }) => `${method} ${path}`),
      [`GET ${PATH}/torrust-operator`, `POST ${PATH}`],
    );
    const spec = lease?.spec;
    assert.equal(spec?.holderIdentity, 'one');
    assert.equal(spec.leaseDurationSeconds, 15);
    assert.equal(spec.leaseTransitions, 0);
    assert.match(spec.acquireTime, SIX_DIGITS);
    assert.match(spec.renewTime, SIX_DIGITS);
    assert.match(
      await one.registry.metrics(),
      /^leader_election_master_status\{name="torrust-operator"\} 1$/m,
    );
  });

  test('stays the leader as long as it renews, every two seconds', async () => {
    const one = enter('one');
    await one.election.acquired;
    const acquired = lease?.spec.acquireTime;
    const two = enter('two');
    await settle(two);
    await letPass(40, one, two);
    assert.equal(lease?.spec.holderIdentity, 'one');
    assert.equal(lease.spec.acquireTime, acquired);
    assert.equal(server.requests.filter(({ method }) => method === 'PUT').length, 20);
    assert.deepEqual([one.election.holds(), two.election.holds()], [true, false]);
    assert.match(
      await two.registry.metrics(),
      /^leader_election_master_status\{name="torrust-operator"\} 0$/m,
    );
  });

  test('is one alone when two come at the same time', async () => {
    const both = [enter('one'), enter('two')];
    await Promise.race(both.map(({ election }) => election.acquired));
    for (const each of both) await settle(each);
    assert.equal(both.filter(({ election }) => election.holds()).length, 1);
  });

  test('is followed by another one that saw no renewal for 15 s', async () => {
    const one = enter('one');
    await one.election.acquired;
    const two = enter('two');
    await settle(two);
    // The clock of the first stands: it is dead.
    await letPass(14, two);
    assert.equal(lease?.spec.holderIdentity, 'one');
    await letPass(4, two);
    assert.equal(lease.spec.holderIdentity, 'two');
    assert.equal(lease.spec.leaseTransitions, 1);
    await two.election.acquired;
    // It wakes up, as after a SIGSTOP, and knows before it has asked anybody.
    const asked = server.requests.length;
    one.clock.jump(18_000);
    assert.equal(one.election.holds(), false);
    one.clock.callNext();
    await waitFor('the loss', () => one.lost.length === 1);
    assert.equal(server.requests.length, asked);
  });

  test('gives the lease back when it stops, and another one has it at once', async () => {
    const one = enter('one');
    await one.election.acquired;
    const two = enter('two');
    await settle(two);
    await one.election.close();
    assert.equal(lease?.spec.holderIdentity, '');
    assert.equal(lease.spec.leaseDurationSeconds, 1);
    assert.equal(one.election.holds(), false);
    await letPass(3, two);
    assert.equal(lease.spec.holderIdentity, 'two');
    assert.equal(one.lost.length, 0);
  });
});

describe('the time of day does not matter', () => {
  for (const [title, jumpDays] of [
    ['a holder whose clock jumps ahead', 400],
    ['a holder whose clock jumps back', -400],
  ] as const) {
    test(`of ${title}`, async () => {
      const one = enter('one');
      await one.election.acquired;
      const two = enter('two');
      await settle(two);
      await letPass(5, one, two);
      one.clock.setDate(new Date(one.clock.date().getTime() + jumpDays * 86_400_000));
      await letPass(20, one, two);
      assert.equal(lease?.spec.holderIdentity, 'one');
      assert.deepEqual([one.election.holds(), one.lost.length], [true, 0]);
    });
  }

  test('of a holder whose clock stands still', async () => {
    const one = enter('one');
    await one.election.acquired;
    const two = enter('two');
    await settle(two);
    const date = one.clock.date();
    for (let second = 0; second < 20; second += 1) {
      await letPass(1, one, two);
      one.clock.setDate(date);
    }
    assert.equal(lease?.spec.holderIdentity, 'one');
  });

  test('of a candidate whose clock is a year ahead', async () => {
    const one = enter('one');
    await one.election.acquired;
    const two = enter('two');
    two.clock.setDate(new Date('2030-01-01'));
    await settle(two);
    await letPass(20, one, two);
    assert.equal(lease?.spec.holderIdentity, 'one');
  });
});

describe('the lease is lost, once, and nothing is written after that,', () => {
  const cases: Record<
    string,
    { readonly script: Script; readonly reason: RegExp; readonly seconds: number }
  > = {
    'when another one has written its name into it': {
      script: (request) => {
        assert(lease !== undefined);
        if (lease.spec.holderIdentity === 'one') {
          version += 1;
          const metadata = { ...lease.metadata, resourceVersion: String(version) };
          lease = { ...lease, metadata, spec: { ...lease.spec, holderIdentity: 'thief' } };
        }
        return store(request);
      },
      reason: /thief holds it now/,
      seconds: 2,
    },
    'when the API server fails for ten seconds': {
      script: ({ response }) => sendStatus(response, 500, 'InternalError'),
      reason: /not renewed for 10 s/,
      seconds: 10,
    },
    'when the API server is away for ten seconds': {
      script: ({ response }) => void response.socket?.resetAndDestroy(),
      reason: /not renewed for 10 s/,
      seconds: 10,
    },
  };
  for (const [title, { script, reason, seconds }] of Object.entries(cases)) {
    test(title, async () => {
      const one = enter('one');
      await one.election.acquired;
      await settle(one);
      server.answer(script);
      await letPass(seconds - 1, one);
      assert.equal(one.lost.length, 0);
      assert.equal(one.election.holds(), true);
      await letPass(1, one);
      assert.equal(one.election.holds(), false);
      assert.match(one.lost[0]?.message ?? '', reason);
      assert.match(await one.registry.metrics(), /^leader_election_master_status\{[^}]*\} 0$/m);
      const asked = server.requests.length;
      one.clock.advance(60_000);
      await one.election.close();
      assert.equal(server.requests.length, asked);
      assert.equal(one.lost.length, 1);
    });
  }

  test('when the API server does not answer at all', async () => {
    const one = enter('one');
    await one.election.acquired;
    await settle(one);
    server.answer(() => undefined);
    one.clock.advance(2_000);
    await waitFor('the request', () => server.requests.length === 3);
    one.clock.advance(7_999);
    assert.equal(one.lost.length, 0);
    one.clock.advance(1);
    assert.equal(one.lost.length, 1);
  });
});

describe('the lease is kept', () => {
  test('through failures that are shorter, and through the 403 of a restarted server', async () => {
    const one = enter('one');
    await one.election.acquired;
    await settle(one);
    for (const [code, reason] of [
      [403, 'Forbidden'],
      [500, 'InternalError'],
      [429, 'TooManyRequests'],
    ] as const) {
      server.answer(({ response }) => sendStatus(response, code, reason));
      await letPass(6, one);
      server.answer(store);
      await letPass(4, one);
    }
    assert.deepEqual([one.election.holds(), one.lost.length], [true, 0]);
  });

  test('when somebody else changes something about it', async () => {
    const one = enter('one');
    await one.election.acquired;
    await settle(one);
    assert(lease !== undefined);
    lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: 'other', labels: { a: 'b' } } };
    await letPass(6, one);
    assert.deepEqual([one.election.holds(), one.lost.length], [true, 0]);
    assert.deepEqual(lease.metadata.labels, { a: 'b' });
    assert.notEqual(lease.metadata.resourceVersion, 'other');
  });

  test('when somebody deletes it', async () => {
    const one = enter('one');
    await one.election.acquired;
    await settle(one);
    lease = undefined;
    await letPass(6, one);
    assert.deepEqual([one.election.holds(), one.lost.length], [true, 0]);
    assert.equal((lease as { spec: Spec } | undefined)?.spec.holderIdentity, 'one');
  });
});

test('a candidate that stops before it is the leader writes nothing', async () => {
  const one = enter('one');
  await one.election.acquired;
  const two = enter('two');
  await settle(two);
  const before = lease;
  await two.election.close();
  await assert.rejects(two.election.acquired, /over/);
  assert.equal(lease, before);
});

test('a candidate whose first requests are refused becomes the leader later', async () => {
  server.answer(({ response }) => sendStatus(response, 403, 'Forbidden'));
  const one = enter('one');
  await settle(one);
  await letPass(6, one);
  assert.equal(one.election.holds(), false);
  server.answer(store);
  await letPass(3, one);
  await one.election.acquired;
  assert.equal(one.election.holds(), true);
});

test('every process has an identity of its own', () => {
  assert.notEqual(enter().election.identity, enter().election.identity);
});

test('the lease lives where the pod is, else where the context is', () => {
  assert.equal(leaseNamespace({ POD_NAMESPACE: 'pod' }, 'context'), 'pod');
  assert.equal(leaseNamespace({ POD_NAMESPACE: '' }, 'context'), 'context');
  assert.equal(leaseNamespace({}, undefined), 'default');
});
