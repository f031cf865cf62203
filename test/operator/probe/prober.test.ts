/** What the operator finds out by asking real trackers. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  planProbe,
  type ProbePlan,
  type RunningPod,
  type ServiceAddress,
} from '../../../operator/probe/plan.ts';
import { Prober } from '../../../operator/probe/prober.ts';
import type { ProbeReport } from '../../../operator/probe/verdict.ts';
import type { ProbeFacts } from '../../../operator/status.ts';
import { parseTrackerUrl } from '../../../tracker/probe/target.ts';
import { probeUdp } from '../../../tracker/probe/udp.ts';
import { waitFor } from '../../support/waiting.ts';
import type { TorrustTracker } from '../../../operator/crd/tracker.ts';
import { trackerOf } from '../examples.ts';
import { loopbackAddress, randomListeners, startLoopbackPod } from './loopback-pod.ts';

interface Watch {
  readonly prober: Prober;
  /** Every report that was new, in turn. */
  readonly reports: ProbeReport[];
}

function plan(
  tracker: TorrustTracker,
  pods: readonly RunningPod[],
  services: readonly ServiceAddress[],
): ProbePlan {
  return planProbe(tracker, pods, services, [4], true);
}

function startProber(context: TestContext, graceMillis = 0): Watch {
  const reports: ProbeReport[] = [];
  const prober = new Prober({
    onChange: (key) => {
      const report = prober.report(key);
      if (report !== undefined) reports.push(report);
    },
    intervalMillis: 200,
    retryMillis: 50,
    graceMillis,
    concurrency: 2,
  });
  context.after(() => prober.close());
  return { prober, reports };
}

/** The first report on a plan, in which some pod is ready. */
async function reportOn(
  context: TestContext,
  plan: ProbePlan,
): Promise<ProbeReport & { readonly probe: ProbeFacts }> {
  const { prober, reports } = startProber(context);
  prober.watch('default/sample', plan);
  const { probe, ...rest } = await waitFor('a report', () => reports[0]);
  assert(probe !== undefined);
  return { ...rest, probe };
}

describe('A probe of a real tracker succeeds', () => {
  const database = { driver: 'sqlite3', path: 'sqlite3.db' } as const;
  const cases = {
    'that is public': { mode: 'Public', core: {} },
    'that refuses what is not listed': { mode: 'Listed', core: { listed: true, database } },
    'that refuses who has no key': { mode: 'Private', core: { private: true, database } },
    'that does both': { mode: 'PrivateListed', core: { private: true, listed: true, database } },
  };
  for (const [title, { mode, core }] of Object.entries(cases)) {
    test(title, async (context) => {
      const { pod, tracker, spec } = await startLoopbackPod(context, { core });
      const services = ['sample-udp', 'sample-http'].map((name) => ({ name, addresses: pod.addresses }));
      const report = await reportOn(context, plan(trackerOf({ ...spec, mode }), [pod], services));
      assert.deepEqual(report.probe, { outcome: 'Succeeded', message: 'Every listener answered.' });
      assert.deepEqual(report.database, { isUp: true, message: '' });
      const stats = await fetch(`${tracker.api}/api/v1/stats?token=token-of-the-test`);
      const { torrents, udp4_announces_handled: announces } = (await stats.json()) as Record<string, number>;
      assert.equal(torrents, 0, 'a probe leaves nothing behind');
      assert.equal((announces ?? 0) > 0, mode === 'Public');
    });
  }

  test('that stands behind proxies', async (context) => {
    const address = loopbackAddress();
    const network = { on_reverse_proxy: true, trusted_proxies: ['127.0.0.0/8'] };
    const listeners = randomListeners();
    const [http] = listeners.http;
    const { pod } = await startLoopbackPod(
      context,
      { http_trackers: [{ bind_address: `${address}:${http.port}`, network }] },
      address,
      listeners,
    );
    const tracker = trackerOf({ ...listeners, http: [{ ...http, trustedProxies: ['127.0.0.0/8'] }] });
    const report = await reportOn(context, plan(tracker, [pod], []));
    assert.equal(report.probe.outcome, 'Succeeded', report.probe.message);
  });
});

describe('A probe fails', () => {
  test('and names the listener that does not answer', async (context) => {
    const { pod, address, spec } = await startLoopbackPod(context, { udp_trackers: [] });
    const { probe } = await reportOn(context, plan(trackerOf(spec), [pod], []));
    assert.equal(probe.outcome, 'Failed');
    assert.equal(
      probe.message,
      `UDP main of pod sample-0 at ${address}: connect: nobody listens there (ECONNREFUSED).`,
    );
  });

  test('when a Service leads nowhere', async (context) => {
    const { pod, spec } = await startLoopbackPod(context);
    const nowhere = { name: 'sample-http', addresses: [loopbackAddress()] };
    const { probe } = await reportOn(context, plan(trackerOf(spec), [pod], [nowhere]));
    assert.equal(probe.outcome, 'Failed');
    assert.match(probe.message, /^HTTP main by Service sample-http at .*ECONNREFUSED/);
  });

  test('when a tracker that should be private is open', async (context) => {
    const { pod, spec } = await startLoopbackPod(context);
    const { probe } = await reportOn(context, plan(trackerOf({ ...spec, mode: 'Private' }), [pod], []));
    assert.equal(probe.outcome, 'Failed');
    assert.match(probe.message, /an announce without a key, .* was answered/);
  });

  test('when a pod of several is away, however many there are', async (context) => {
    const { pod, spec } = await startLoopbackPod(context);
    const away = Array.from({ length: 12 }, (_, index) => ({
      name: `away-${index}`,
      addresses: [loopbackAddress()],
      isReady: true,
    }));
    const { prober, reports } = startProber(context);
    prober.watch('default/sample', plan(trackerOf({ ...spec, topology: 'HostNode' }), [...away, pod], []));
    const failed = await waitFor('a report of every pod', () =>
      reports.map(({ probe }) => probe).find((probe) => probe?.message.includes('And 7 more.')),
    );
    assert.equal(failed.outcome, 'Failed');
    assert.match(
      failed.message,
      /^The health check of pod away-0 does not answer\. The health check of pod away-1 /,
    );
  });
});

test('a probe tells where announces of others came from, and leaves its own out', async (context) => {
  const { pod, address, spec } = await startLoopbackPod(context, {
    source_guard: { cluster_ranges: ['127.0.0.1/32'] },
  });
  const { prober, reports } = startProber(context);
  prober.watch('default/sample', plan(trackerOf(spec), [pod], []));
  await waitFor('a report without traffic', () => reports[0]);
  assert.deepEqual(prober.report('default/sample')?.sources, { announces: 0, fromCluster: 0 });

  const client = parseTrackerUrl(`udp://${address}:${spec.udp[0].port}/announce`, '');
  assert(client.kind === 'udp');
  assert.equal((await probeUdp(client)).ok, true);
  const told = await waitFor('a report of traffic', () => reports[1]);
  // An announce and the one that takes the peer out again.
  assert.deepEqual(told.sources, { announces: 2, fromCluster: 2 });
  assert.equal((await probeUdp(client)).ok, true);
  await waitFor('the counts', () => prober.report('default/sample')?.sources?.announces === 4);
  assert.equal(reports.length, 2, 'more of the same is no news');
});

test('a pod that is not ready is asked for its health and nothing else, and fails nothing', async (context) => {
  const { pod, spec } = await startLoopbackPod(context, { udp_trackers: [] });
  const away = { name: 'sample-1', addresses: [loopbackAddress()], isReady: false };
  const { prober, reports } = startProber(context);
  prober.watch('default/sample', plan(trackerOf(spec), [{ ...pod, isReady: false }, away], []));
  const report = await waitFor('a report', () => reports[0]);
  assert.deepEqual(report, { probe: undefined, database: undefined, sources: undefined });
  prober.watch('default/sample', plan(trackerOf({ ...spec, udp: [] }), [pod, away], []));
  const ready = await waitFor('a report on the ready one', () => reports[1]);
  assert.deepEqual(ready.probe, { outcome: 'Succeeded', message: 'Every listener answered.' });
  assert.deepEqual(ready.database, { isUp: true, message: '' });
});

test('a probe without a way to any pod is no failure', async (context) => {
  const pod = { name: 'sample-0', addresses: [loopbackAddress()], isReady: true };
  const { probe, database } = await reportOn(context, plan(trackerOf({}), [pod], []));
  assert.equal(probe.outcome, 'Unreachable');
  assert.equal(database, undefined);
});

test('what fails is told when its plan is no longer new, and not when it heals before', async (context) => {
  const graceMillis = 3_000;
  const { pod, spec } = await startLoopbackPod(context);
  const nowhere = { name: 'sample-udp', addresses: [loopbackAddress()] };
  const failing = plan(trackerOf(spec), [pod], [nowhere]);
  const { prober, reports } = startProber(context, graceMillis);
  const since = performance.now();
  prober.watch('default/failing', failing);
  prober.watch('default/healing', failing);
  await pause(graceMillis / 2);
  prober.watch('default/healing', plan(trackerOf(spec), [pod], []));
  await waitFor('a report of both', () => reports.length === 2);
  assert.ok(performance.now() - since >= graceMillis, 'nobody is alarmed at once');
  assert.deepEqual(
    reports.map(({ probe }) => probe?.outcome),
    ['Succeeded', 'Failed'],
  );
});

test('a prober tells what is new and nothing else, and forgets', async (context) => {
  const address = loopbackAddress();
  const first = await startLoopbackPod(context, {}, address);
  const { prober, reports } = startProber(context);
  prober.watch('default/sample', plan(trackerOf(first.spec), [first.pod], []));
  await waitFor('a report', () => reports.length > 0);
  await first.tracker.stop('SIGKILL');
  await waitFor('a report of the end', () => reports.length > 1);
  await startLoopbackPod(context, {}, address, first.spec);
  await waitFor('a report of the return', () => reports.at(-1)?.probe?.outcome === 'Succeeded');
  assert.deepEqual(
    reports.slice(0, 2).map(({ probe }) => probe?.outcome),
    ['Succeeded', 'Unreachable'],
  );
  for (const [index, report] of reports.entries()) assert.notDeepEqual(report, reports[index + 1]);
  prober.watch('default/sample', plan(trackerOf({}), [], []));
  assert.equal(prober.report('default/sample'), undefined);
});
