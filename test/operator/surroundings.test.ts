/** What the operator learns of the network of a real cluster. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { KubeClient } from '../../operator/kube/client.ts';
import { Connection } from '../../operator/kube/connection.ts';
import { createKubeMetrics } from '../../operator/kube/metrics.ts';
import { lookAtNetwork } from '../../operator/surroundings.ts';
import { useApiServer } from '../apiserver/server.ts';
import { needs } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';

const server = useApiServer(async ({ admin }) => {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1' } };
  await admin.apply({ ...node, spec: { podCIDRs: ['10.244.1.0/24'] } });
  const addresses = [
    { type: 'InternalIP', address: '192.0.2.1' },
    { type: 'Hostname', address: 'node-1' },
  ];
  await admin.apply({ ...node, status: { addresses } }, { subresource: 'status' });
});

/** By the administrator's token unless another is given. */
function connect(token?: string) {
  const connection = Connection.parse(server().kubeconfig(token));
  const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
  const look = () => lookAtNetwork(client, new AbortController().signal);
  return { look, close: () => connection.close() };
}

test(
  'addresses of nodes and the ranges of pods and Services are those of the cluster',
  needs('apiserver'),
  async (context) => {
    const { look, close } = connect();
    context.after(close);
    // The server writes down its range of Services soon after its start.
    const network = await waitFor('the range of Services', async () => {
      const seen = await look();
      return seen.ranges.length > 2 && seen;
    });
    assert.deepEqual(network, {
      ipFamilies: [4],
      ranges: ['10.244.1.0/24', '10.96.0.0/16', '192.0.2.1/32'],
      nodes: ['node-1'],
    });
  },
);

test('without the right to look, nothing is known', needs('apiserver'), async (context) => {
  const { look, close } = connect(await server().serviceAccountToken('default', 'nobody'));
  context.after(close);
  assert.deepEqual(await look(), { ipFamilies: [4], ranges: [], nodes: [] });
});
