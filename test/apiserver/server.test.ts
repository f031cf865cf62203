/**
 * The server that the other tests stand on: it judges, it comes back, and it leaves nothing.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { needs } from '../support/parts.ts';
import { waitFor } from '../support/waiting.ts';
import { ApiClient } from './client.ts';
import { type ApiServer, startApiServer } from './server.ts';

const CONFIG = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kept' }, data: { a: 'b' } };

async function withServer(work: (server: ApiServer) => Promise<void>): Promise<void> {
  const server = await startApiServer();
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

test(
  'a server that was killed comes back with its data, and leaves nothing at its end',
  needs('apiserver'),
  async () => {
    let home = '';
    let last = 0;
    await withServer(async (server) => {
      home = server.home;
      await server.admin.apply(CONFIG);
      const first = server.pid;
      await server.kill();
      await assert.rejects(server.admin.get(CONFIG));
      await server.restart();
      last = server.pid;
      assert.notEqual(last, first);
      assert.deepEqual((await server.admin.get(CONFIG))?.['data'], { a: 'b' });
    });
    assert.equal(existsSync(home), false);
    assert.throws(() => process.kill(last, 0));
  },
);

test('a service account may do what a role allows, and the log tells it', needs('apiserver'), async () => {
  await withServer(async (server) => {
    const token = await server.serviceAccountToken('robots', 'reader');
    const reader = new ApiClient(server.url, server.authority, token);
    try {
      await server.admin.apply(CONFIG);
      await assert.rejects(reader.get(CONFIG), /cannot get resource "configmaps"/);
      await server.admin.apply({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'reader', namespace: 'default' },
        rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }],
      });
      await server.admin.apply({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'reader', namespace: 'default' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
        subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: 'robots' }],
      });
      await waitFor('the role is known', () => reader.get(CONFIG).catch(() => undefined));
      const requests = server.requestsOf('system:serviceaccount:robots:reader');
      const { atMillis = 0, ...first } = requests.find(({ resource }) => resource === 'configmaps') ?? {};
      assert.ok(atMillis >= server.readyAtMillis && atMillis <= Date.now());
      assert.deepEqual(first, {
        user: 'system:serviceaccount:robots:reader',
        verb: 'get',
        group: '',
        resource: 'configmaps',
        subresource: '',
        namespace: 'default',
        name: 'kept',
        code: 403,
        isDenied: true,
      });
      assert.equal(requests.at(-1)?.code, 200);
    } finally {
      await reader.close();
    }
  });
});
