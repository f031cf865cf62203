/** What a probe asks, and where. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planProbe } from '../../../operator/probe/plan.ts';
import { runningPods } from '../../../operator/reconcile/pod-facts.ts';
import { trackerOf } from '../examples.ts';

const [FOUR, SIX] = ['192.0.2.1', '2001:db8::1'];

/** A pod of a node, or of a network, with an address of each family. */
function podAt(main: string, other: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'edge-x', namespace: 'default' },
    status: {
      phase: 'Running',
      hostIP: main,
      podIPs: [{ ip: main }, { ip: other }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  };
}

describe('Where a pod with two addresses is asked', () => {
  interface Case {
    readonly topology: 'HostNode' | 'Single';
    readonly main: string;
    readonly families: readonly (4 | 6)[];
    /** Where the listeners are asked, and where the API, the health check and the metrics. */
    readonly listeners: readonly string[];
    readonly internal: readonly string[];
  }
  const CASES: Record<string, Case> = {
    'on a node: the API at its main address alone': {
      topology: 'HostNode',
      main: FOUR,
      families: [4, 6],
      listeners: [FOUR, SIX],
      internal: [FOUR],
    },
    'on a node whose main address is one of IPv6': {
      topology: 'HostNode',
      main: SIX,
      families: [6, 4],
      listeners: [SIX, FOUR],
      internal: [SIX],
    },
    'on a node of two families in a cluster of one: no listener where none is bound': {
      topology: 'HostNode',
      main: FOUR,
      families: [4],
      listeners: [FOUR],
      internal: [FOUR],
    },
    'on a network of its own: everything at both': {
      topology: 'Single',
      main: FOUR,
      families: [4, 6],
      listeners: [FOUR, SIX],
      internal: [FOUR, SIX],
    },
  };
  for (const [title, { topology, main, families, listeners, internal }] of Object.entries(CASES)) {
    test(title, () => {
      const tracker = trackerOf({ topology });
      const pods = runningPods([podAt(main, main === FOUR ? SIX : FOUR)]);
      const [plan] = planProbe(tracker, pods, [], families, false).pods;
      assert(plan !== undefined);
      const hostsOf = (kind: string) => plan.targets.filter((each) => each.kind === kind).map(hostOf);
      assert.deepEqual(
        { udp: hostsOf('udp'), http: hostsOf('http'), api: hostsOf('api'), health: plan.health.map(hostOf) },
        { udp: listeners, http: listeners, api: internal, health: internal },
      );
    });
  }
});

function hostOf({ host }: { readonly host: string }): string {
  return host;
}
