import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeExposed, describeWaiting, isLocal } from '../../operator/exposure-trouble.ts';
import { trackerOf } from './examples.ts';

describe('What to do about a missing address is told', () => {
  const cases: Record<string, { exposure: object; said?: string; told: RegExp }> = {
    'of a class of load balancers, by its name': {
      exposure: { type: 'LoadBalancer', loadBalancerClass: 'example.com/none' },
      told: /UDP main: the controller that serves spec\.exposure\.loadBalancerClass example\.com\/none gives it\. See that it is installed/,
    },
    'with the words of the cluster': {
      exposure: { type: 'LoadBalancer' },
      said: 'no available IPs.',
      told: /load balancer gives it\. It says: no available IPs\. A cluster without one needs/,
    },
    'of a port of nodes': { exposure: { type: 'NodePort' }, told: /UDP main: the cluster gives it\.$/ },
  };
  for (const [title, { exposure, said, told }] of Object.entries(cases)) {
    test(title, () => assert.match(describeWaiting(trackerOf({ exposure }), 'UDP main', said), told));
  }
});

describe('Nodes that drop packets are named', () => {
  const nodePort = trackerOf({ exposure: { type: 'NodePort' } });
  const names = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`);
  const cases: Record<string, { empty: string[]; told: RegExp }> = {
    'unless there are none': { empty: [], told: /^Every listener has an address\.$/ },
    'one by one': {
      empty: ['b'],
      told: / Node b without a pod of the tracker drops what comes in .*: send clients to the other nodes\.$/,
    },
    'ten of many': { empty: names(12), told: /Nodes n0, .*n9 and 2 more without a pod of the tracker drop / },
  };
  for (const [title, { empty, told }] of Object.entries(cases)) {
    test(title, () => assert.match(describeExposed(nodePort, empty), told));
  }
  test('to whoever runs the load balancer', () => {
    assert.match(
      describeExposed(trackerOf({ exposure: { type: 'LoadBalancer' } }), ['b']),
      /check the health of nodes and leave them out\.$/,
    );
  });
  test('where the policy is Local, and nodes are asked by clients', () => {
    const told = (spec: object) => isLocal(trackerOf(spec));
    assert.equal(told({ exposure: { type: 'NodePort' } }), true);
    assert.equal(told({}), false);
    assert.equal(told({ topology: 'HostNode', exposure: { type: 'ClusterIP' } }), false);
    const exposure = { type: 'NodePort', externalTrafficPolicy: 'Cluster', acknowledgeSourceNAT: true };
    assert.equal(told({ exposure }), false);
  });
});
