/** What to do about what the admission of a cluster says; the texts are those of Kubernetes 1.35. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adviceOn } from '../../../operator/reconcile/refusals.ts';

describe('It is told what to do when', () => {
  const cases: Record<string, { said: string; kind?: string; told: RegExp }> = {
    'a quota is used up': {
      said: 'pods "a-0" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1',
      told: /^Raise the ResourceQuota/,
    },
    'a quota wants limits': {
      said: 'pods "a-0" is forbidden: failed quota: compute: must specify limits.cpu for: tracker',
      told: /: set spec\.resources\.$/,
    },
    'Pod Security forbids the network of the node': {
      said: 'pods "a-x" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)',
      told: /topology HostNode needs the label pod-security\.kubernetes\.io\/enforce=privileged/,
    },
    'a priority class is missing': {
      said: 'pods "a-0" is forbidden: no PriorityClass with name high was found',
      told: /spec\.priorityClassName/,
    },
    'a RuntimeClass is missing': {
      said: 'pods "a-0" is forbidden: pod rejected: RuntimeClass "kata" not found',
      told: /runtimeClassName/,
    },
    'a limit range is broken': {
      said: 'pods "a-0" is forbidden: maximum memory usage per Container is 100Mi, but limit is 1Gi',
      told: /LimitRange/,
    },
    'a policy forbids it': {
      said: 'admission webhook "policy.example" denied the request: no',
      told: /who wrote the policy/,
    },
    'the namespace goes': {
      said: 'configmaps "a" is forbidden: unable to create new content in namespace b because it is being terminated',
      kind: 'ConfigMap',
      told: /make the tracker in another one/,
    },
    'the operator may not': {
      said: 'services is forbidden: User "system:serviceaccount:a:b" cannot create resource "services"',
      kind: 'Service',
      told: /roles of its chart/,
    },
    'a field of a Service is wrong': {
      said: 'spec.ports[0].nodePort: Invalid value: 80',
      kind: 'Service',
      told: /^See spec\.exposure/,
    },
  };
  for (const [title, { said, kind = 'Pod', told }] of Object.entries(cases)) {
    test(title, () => assert.match(adviceOn(said, kind), told));
  }
});

test('nothing is advised where nothing is known', () => assert.equal(adviceOn('x', 'Secret'), ''));
