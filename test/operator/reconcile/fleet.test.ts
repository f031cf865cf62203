/**
 * A hundred trackers under the real command: what `make bench-operator` measures with a thousand, without its times. The
 * API server says what was asked and written, the kernel how large the process was.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needs } from '../../support/parts.ts';
import { measureFleet } from '../fleet.ts';

const TRACKERS = 100;
/** Of a tracker of four lines: an account, two Secrets, a volume, a ConfigMap, three Services, a budget, a policy, the pods. */
const OBJECTS = 11;
/** The target for a thousand trackers. */
const MAX_RESIDENT_BYTES = 300e6;

test(
  'a hundred trackers are made once, looked at without a write, and cost little memory',
  needs('apiserver'),
  async (context) => {
    const figures = await measureFleet(context, {
      trackers: TRACKERS,
      // A round of probes.
      steadySeconds: 36,
      drifts: 3,
      onPhase: (name) => context.diagnostic(name),
    });
    const { first, steady, restart, driftSeconds, forbidden, peakResidentBytes } = figures;
    // Each object once, and a status; where a pod was seen meanwhile, a second one.
    assert.ok(first.writes >= TRACKERS * (OBJECTS + 1), `${first.writes} writes`);
    assert.ok(first.writes <= TRACKERS * (OBJECTS + 2), `${first.writes} writes`);
    assert.equal(steady.writes, 0, 'a steady state writes nothing');
    // Discovery, and what watches begin anew with; never one for each tracker.
    assert.ok(steady.requests < TRACKERS, `${steady.requests} requests while nothing happened`);
    assert.equal(restart.writes, 0, 'a start of the operator writes nothing');
    assert.equal(driftSeconds.length, 3);
    assert.equal(forbidden, 0);
    assert.ok(peakResidentBytes < MAX_RESIDENT_BYTES, `${peakResidentBytes} bytes resident`);
  },
);
