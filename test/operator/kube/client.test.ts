/** What goes over the wire for each verb, and what comes of each kind of answer. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Registry } from 'prom-client';
import { resourceOf } from '../../../operator/kube/api-resource.ts';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { ApiError, ConnectionError } from '../../../operator/kube/kube-error.ts';
import type { KubeObject } from '../../../operator/kube/kube-object.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { waitFor } from '../../support/waiting.ts';
import {
  configMap,
  openScriptedServer,
  type ScriptedServer,
  sendJson,
  sendList,
  sendStatus,
} from './scripted-server.ts';

const CONFIG_MAPS = resourceOf({ apiVersion: 'v1', kind: 'ConfigMap' });
const NODES = resourceOf({ apiVersion: 'v1', kind: 'Node' });
const TRACKERS = resourceOf({ apiVersion: 'tracker.torrust.com/v1alpha1', kind: 'TorrustTracker' });
const MANAGER = 'torrust-operator';
const { signal } = new AbortController();

let server: ScriptedServer;
let connection: Connection;
let client: KubeClient;
let registry: Registry;

beforeEach(async () => {
  server = await openScriptedServer(({ response }) => sendJson(response, configMap('one', '5')));
  connection = Connection.parse(server.kubeconfig);
  registry = new Registry();
  client = new KubeClient(connection, createKubeMetrics(registry).client);
});
afterEach(async () => {
  await connection.close();
  await server.close();
});

describe('sends', () => {
  const object = configMap('one', '5');
  const tracker: KubeObject = {
    apiVersion: 'tracker.torrust.com/v1alpha1',
    kind: 'TorrustTracker',
    metadata: { namespace: 'a', name: 'one' },
    status: {},
  };
  const place = { namespace: 'a', name: 'one' };
  const write = { fieldManager: MANAGER, signal };
  const written = 'fieldManager=torrust-operator&fieldValidation=Strict';
  const deletion = { apiVersion: 'v1', kind: 'DeleteOptions' };
  const cases: Record<string, { act: () => Promise<unknown>; line: string; type?: string; body?: unknown }> =
    {
      'a get': {
        act: () => client.get(CONFIG_MAPS, place, { signal }),
        line: 'GET /api/v1/namespaces/a/configmaps/one',
      },
      'a get of an object of the whole cluster': {
        act: () => client.get(NODES, { name: 'node 1/x' }, { signal }),
        line: 'GET /api/v1/nodes/node%201%2Fx',
      },
      'a get of a subresource': {
        act: () => client.get(TRACKERS, { ...place, subresource: 'scale' }, { signal }),
        line: 'GET /apis/tracker.torrust.com/v1alpha1/namespaces/a/torrusttrackers/one/scale',
      },
      'a create': {
        act: () => client.create(object, write),
        line: `POST /api/v1/namespaces/a/configmaps?${written}`,
        type: 'application/json',
        body: object,
      },
      'a replace': {
        act: () => client.replace(object, write),
        line: `PUT /api/v1/namespaces/a/configmaps/one?${written}`,
        type: 'application/json',
        body: object,
      },
      'an apply with force': {
        act: () => client.apply(object, { ...write, force: true }),
        line: `PATCH /api/v1/namespaces/a/configmaps/one?${written}&force=true`,
        type: 'application/apply-patch+yaml',
        body: object,
      },
      'an apply that is a dry run': {
        act: () => client.apply(object, { ...write, dryRun: true }),
        line: `PATCH /api/v1/namespaces/a/configmaps/one?${written}&force=false&dryRun=All`,
        type: 'application/apply-patch+yaml',
        body: object,
      },
      'an apply of the status': {
        act: () => client.applyStatus(tracker, { ...write, force: true }),
        line: `PATCH /apis/tracker.torrust.com/v1alpha1/namespaces/a/torrusttrackers/one/status?${written}&force=true`,
        type: 'application/apply-patch+yaml',
        body: tracker,
      },
      'a merge patch': {
        act: () => client.merge(tracker, write),
        line: `PATCH /apis/tracker.torrust.com/v1alpha1/namespaces/a/torrusttrackers/one?${written}`,
        type: 'application/merge-patch+json',
        body: tracker,
      },
      'a delete of one object and no other of its name': {
        act: () => client.delete(CONFIG_MAPS, place, { uid: 'u1', signal }),
        line: 'DELETE /api/v1/namespaces/a/configmaps/one',
        type: 'application/json',
        body: { ...deletion, propagationPolicy: 'Background', preconditions: { uid: 'u1' } },
      },
      'a delete that waits for what is owned': {
        act: () => client.delete(CONFIG_MAPS, place, { propagation: 'Foreground', dryRun: true, signal }),
        line: 'DELETE /api/v1/namespaces/a/configmaps/one?dryRun=All',
        type: 'application/json',
        body: { ...deletion, propagationPolicy: 'Foreground' },
      },
      'a review': {
        act: () =>
          client.review(
            { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: {} },
            { signal },
          ),
        line: 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        type: 'application/json',
      },
    };
  for (const [title, { act, line, type, body }] of Object.entries(cases)) {
    test(title, async () => {
      await act();
      const [request] = server.requests;
      assert(request !== undefined);
      const { method, response, headers } = request;
      assert.equal(`${method} ${response.req.url}`, line);
      assert.equal(headers['content-type'], type);
      assert.equal(headers.authorization, 'Bearer secret-token');
      if (body !== undefined) assert.deepEqual(request.body, body);
    });
  }

  test('a path below the path of a proxy', async () => {
    const behindProxy = Connection.parse(
      server.kubeconfig.replace(`:${server.port}`, `:${server.port}/clusters/7/`),
    );
    try {
      await new KubeClient(behindProxy, createKubeMetrics(new Registry()).client).get(CONFIG_MAPS, place, {
        signal,
      });
    } finally {
      await behindProxy.close();
    }
    assert.equal(server.requests[0]?.path, '/clusters/7/api/v1/namespaces/a/configmaps/one');
  });
});

describe('reads', () => {
  test('an object with fields that no type knows', async () => {
    const strange = { ...configMap('one', '5'), novelty: { a: [1, null] } };
    server.answer(({ response }) => sendJson(response, strange));
    assert.deepEqual(await client.get(CONFIG_MAPS, { namespace: 'a', name: 'one' }, { signal }), strange);
  });

  test('an object that is not there as undefined', async () => {
    server.answer(({ response }) => sendStatus(response, 404, 'NotFound'));
    assert.equal(await client.get(CONFIG_MAPS, { namespace: 'a', name: 'one' }, { signal }), undefined);
    assert.equal(await client.delete(CONFIG_MAPS, { namespace: 'a', name: 'one' }, { signal }), false);
  });

  test('a list in pages, whose items get their kind', async () => {
    server.answer(({ query, response }) => {
      if (query.get('continue') === 'more') sendList(response, '9', [configMap('two', '8')]);
      else sendList(response, '9', [configMap('one', '7')], 'more');
    });
    const selection = { namespace: 'a', labelSelector: 'x=y', fieldSelector: 'metadata.name=q' };
    const { items, resourceVersion } = await client.list(CONFIG_MAPS, selection, { signal });
    assert.deepEqual(items, [configMap('one', '7'), configMap('two', '8')]);
    assert.equal(resourceVersion, '9');
    for (const { query } of server.requests) {
      assert.equal(query.get('limit'), '500');
      assert.equal(query.get('labelSelector'), 'x=y');
      assert.equal(query.get('fieldSelector'), 'metadata.name=q');
    }
  });

  test('a list whose rest is forgotten in one page, once more', async () => {
    server.answer(({ query, response }) => {
      if (query.get('limit') === null)
        sendList(response, '12', [configMap('one', '7'), configMap('two', '8')]);
      else if (query.get('continue') === 'more') sendStatus(response, 410, 'Expired');
      else sendList(response, '9', [configMap('gone', '7')], 'more');
    });
    const { items, resourceVersion } = await client.list(CONFIG_MAPS, {}, { signal });
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name),
      ['one', 'two'],
    );
    assert.equal(resourceVersion, '12');
  });

  test('the version of the server', async () => {
    server.answer(({ response }) => sendJson(response, { gitVersion: 'v1.35.4' }));
    assert.equal(await client.serverVersion({ signal }), 'v1.35.4');
  });
});

describe('tells', () => {
  const get = (options: { signal: AbortSignal; timeoutMillis?: number } = { signal }) =>
    client.get(CONFIG_MAPS, { namespace: 'a', name: 'one' }, options);

  const refusals: Record<string, { answer: () => void; status: number; reason: string; after?: number }> = {
    'a refusal with its reason': {
      answer: () => server.answer(({ response }) => sendStatus(response, 409, 'Conflict')),
      status: 409,
      reason: 'Conflict',
    },
    'how long a busy server wants to be left alone': {
      answer: () =>
        server.answer(({ response }) => sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '7' })),
      status: 429,
      reason: 'TooManyRequests',
      after: 7,
    },
    'how long, when only the body says so': {
      answer: () =>
        server.answer(({ response }) =>
          sendJson(
            response,
            {
              kind: 'Status',
              code: 504,
              reason: 'ServerTimeout',
              message: 'later',
              details: { retryAfterSeconds: 3 },
            },
            504,
          ),
        ),
      status: 504,
      reason: 'ServerTimeout',
      after: 3,
    },
    'a refusal of a proxy that is no API server': {
      answer: () => server.answer(({ response }) => void response.writeHead(503).end('<html>busy</html>')),
      status: 503,
      reason: 'ServiceUnavailable',
    },
  };
  for (const [title, { answer, status, reason, after }] of Object.entries(refusals)) {
    test(title, async () => {
      answer();
      await assert.rejects(get(), (error) => {
        assert(error instanceof ApiError);
        assert.deepEqual([error.status, error.reason, error.retryAfterSeconds], [status, reason, after]);
        assert.match(error.message, /^GET \/api\/v1\/namespaces\/a\/configmaps\/one: \d{3} /);
        return true;
      });
    });
  }

  test('a server that does not answer in time', async () => {
    server.answer(() => undefined);
    await assert.rejects(get({ signal, timeoutMillis: 50 }), (error) => {
      assert(error instanceof ConnectionError);
      assert.equal(error.code, 'timeout');
      return true;
    });
    // A late answer must not meet the next request.
    await waitFor('the connection to be closed', () => server.connections.open.size === 0);
  });

  test('a server that stops in the middle of an answer', async () => {
    server.answer(({ response }) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"kind":', () => response.destroy());
    });
    await assert.rejects(get(), (error) => error instanceof ConnectionError && error.code === 'connection');
  });

  test('an answer that is no object', async () => {
    server.answer(({ response }) => void response.writeHead(200).end('hello'));
    await assert.rejects(get(), (error) => error instanceof ConnectionError && error.code === 'malformed');
    server.answer(({ response }) => sendJson(response, []));
    await assert.rejects(get(), (error) => error instanceof ConnectionError && error.code === 'malformed');
  });

  test('a server that is not there', async () => {
    await server.close();
    await assert.rejects(get(), (error) => {
      assert(error instanceof ConnectionError);
      assert.match(error.message, /ECONNREFUSED/);
      return true;
    });
    server = await openScriptedServer(() => undefined);
  });

  test('the reason of an abort, before and while it asks', async () => {
    server.answer(() => undefined);
    const reason = new Error('enough');
    await assert.rejects(get({ signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const asked = get({ signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await assert.rejects(asked, reason);
  });
});

test('writes nothing when it may not, but for dry runs', async () => {
  const guarded = new KubeClient(connection, createKubeMetrics(new Registry()).client, () => false);
  const options = { fieldManager: MANAGER, signal };
  const object = configMap('one', '5');
  await assert.rejects(guarded.apply(object, options), { code: 'not-leader' });
  await assert.rejects(guarded.delete(CONFIG_MAPS, { namespace: 'a', name: 'one' }, { signal }), {
    code: 'not-leader',
  });
  assert.equal(server.requests.length, 0);
  await guarded.apply(object, { ...options, dryRun: true });
  assert.equal(server.requests.length, 1);
});

test('counts requests by code, method and host', async () => {
  const place = { namespace: 'a', name: 'one' };
  await client.get(CONFIG_MAPS, place, { signal });
  server.answer(({ response }) => void response.destroy());
  await assert.rejects(client.delete(CONFIG_MAPS, place, { signal }));
  const text = await registry.metrics();
  const host = `127.0.0.1:${server.port}`;
  assert.ok(text.includes(`rest_client_requests_total{code="200",method="GET",host="${host}"} 1`), text);
  assert.ok(
    text.includes(`rest_client_requests_total{code="<error>",method="DELETE",host="${host}"} 1`),
    text,
  );
  assert.ok(text.includes(`rest_client_request_duration_seconds_count{verb="GET",host="${host}"} 1`), text);
});
