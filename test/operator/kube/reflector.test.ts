/** The cache follows the API server through everything that a stream does in order. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import { SYSTEM_CLOCK } from '../../../operator/kube/clock.ts';
import { waitFor } from '../../support/waiting.ts';
import { withReflector } from './reflector-setup.ts';
import {
  acceptWatch,
  configMap,
  type SeenRequest,
  sendBookmark,
  sendEvent,
  sendJson,
  sendList,
  sendStatus,
} from './scripted-server.ts';

/** A script that lists `one` at version 5 and leaves every watch open, handing it to `onWatch`. */
function listOne(onWatch: (response: ServerResponse, request: SeenRequest) => void = () => undefined) {
  return (request: SeenRequest) => {
    if (request.query.get('watch') === '1') {
      acceptWatch(request.response);
      onWatch(request.response, request);
    } else {
      sendList(request.response, '5', [configMap('one', '4')]);
    }
  };
}

test('lists, then watches from there with bookmarks and an end between five and ten minutes', () =>
  withReflector(
    listOne((response) => {
      sendEvent(response, 'ADDED', configMap('two', '6'));
      sendEvent(response, 'MODIFIED', configMap('one', '7'));
      sendEvent(response, 'DELETED', configMap('two', '8'));
    }),
    async ({ server, reflector, told, registry }) => {
      await reflector.synced;
      await waitFor('the events', () => told.length === 4);
      assert.deepEqual(told, ['set one@4', 'set two@6', 'set one@7', 'deleted two']);
      assert.deepEqual(reflector.objects.list(), [configMap('one', '7')]);
      const [watch] = server.watches();
      assert.equal(watch?.query.get('allowWatchBookmarks'), 'true');
      assert.equal(watch?.query.get('resourceVersion'), '5');
      assert.equal(watch?.query.get('timeoutSeconds'), '450');
      assert.equal(reflector.problem(), undefined);
      assert.match(await registry.metrics(), /^reflector_objects\{name="configmaps"\} 1$/m);
    },
  ));

for (const [random, seconds] of [
  [0, '300'],
  [0.999999, '600'],
] as const) {
  test(`asks for the end of a watch after ${seconds} s when chance says ${random}`, () =>
    withReflector(
      listOne(),
      async ({ server }) => {
        const watch = await waitFor('a watch', () => server.watches()[0]);
        assert.equal(watch.query.get('timeoutSeconds'), seconds);
      },
      { random: () => random },
    ));
}

test('goes on from the last bookmark when the server ends a watch, without a list', () => {
  let count = 0;
  return withReflector(
    listOne((response) => {
      count += 1;
      if (count > 1) return;
      sendBookmark(response, '41');
      response.end();
    }),
    async ({ server, told }) => {
      await waitFor('a second watch', () => server.watches().length === 2);
      assert.equal(server.watches()[1]?.query.get('resourceVersion'), '41');
      assert.equal(server.lists().length, 1);
      assert.deepEqual(told, ['set one@4']);
    },
  );
});

test('leaves a quiet watch alone for more than half a minute', () => {
  let watching: ServerResponse | undefined;
  return withReflector(
    listOne((response) => {
      watching = response;
    }),
    async ({ server, told }) => {
      await waitFor('a watch', () => watching);
      const until = performance.now() + 33_000;
      await waitFor('half a minute and more', () => performance.now() > until);
      assert(watching !== undefined);
      sendEvent(watching, 'MODIFIED', configMap('one', '6'));
      await waitFor('the event', () => told.includes('set one@6'));
      assert.equal(server.watches().length, 1);
    },
    { clock: SYSTEM_CLOCK },
  );
});

test('keeps objects as they are: dates as texts, and fields that no type knows', () => {
  const strange = {
    ...configMap('strange', '6'),
    metadata: { ...configMap('strange', '6').metadata, creationTimestamp: '2026-01-01T00:00:00Z' },
    novelty: [{ deep: null }],
  };
  return withReflector(
    listOne((response) => sendEvent(response, 'ADDED', strange)),
    async ({ reflector }) => {
      const found = await waitFor('it', () => reflector.objects.get({ namespace: 'a', name: 'strange' }));
      assert.deepEqual(found, strange);
    },
  );
});

test('reads an event whose bytes come in pieces, cut in a character', () =>
  withReflector(
    listOne((response) => {
      const object = { ...configMap('one', '6'), data: { text: '🎈' } };
      const bytes = Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
      const cut = bytes.indexOf(Buffer.from('🎈')) + 2;
      response.write(bytes.subarray(0, cut), () => setImmediate(() => response.write(bytes.subarray(cut))));
    }),
    async ({ reflector, told }) => {
      await waitFor('the event', () => told.includes('set one@6'));
      assert.deepEqual(reflector.objects.get({ namespace: 'a', name: 'one' })?.['data'], { text: '🎈' });
    },
  ));

test('opens no watch when it is stopped in the middle of a list, and leaves nothing behind', () => {
  let listing: ServerResponse | undefined;
  return withReflector(
    ({ response }) => {
      listing = response;
    },
    async ({ server, reflector, controller }) => {
      const response = await waitFor('a list', () => listing);
      controller.abort();
      sendList(response, '5', [configMap('one', '4')]);
      await reflector.ended;
      await assert.rejects(reflector.synced, /ended/);
      await waitFor('the connection to be closed', () => server.connections.open.size === 0);
      assert.equal(server.watches().length, 0);
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    },
  );
});

test('ends a watch when it is stopped', () =>
  withReflector(listOne(), async ({ server, reflector, controller }) => {
    await waitFor('a watch', () => server.watches()[0]);
    controller.abort();
    await reflector.ended;
    await waitFor('the connections to be closed', () =>
      server.watches().every(({ response }) => response.destroyed),
    );
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  }));

test('a listener that throws hinders nobody', () =>
  withReflector(listOne(), async ({ reflector, told, log }) => {
    reflector.subscribe(() => {
      throw new Error('clumsy');
    });
    const heard: string[] = [];
    const stop = reflector.subscribe(({ object }) => void heard.push(object.metadata.name));
    await waitFor('the change', () => heard.length === 1);
    assert.deepEqual(told, ['set one@4']);
    assert.match(String(log.lines.find(({ level }) => level === 'error')?.fields['err']), /clumsy/);
    stop();
  }));

test('watches several namespaces and no other, and knows when all are listed', () =>
  withReflector(
    ({ path, query, response }) => {
      const namespace = path.split('/')[4] ?? '';
      if (query.get('watch') === '1') acceptWatch(response);
      else if (namespace === 'b')
        setTimeout(() => sendList(response, '9', [configMap('in-b', '8', 'b')]), 50);
      else sendList(response, '5', [configMap('in-a', '4', 'a')]);
    },
    async ({ server, reflector }) => {
      await reflector.synced;
      const names = reflector.objects.list().map(({ metadata }) => metadata.name);
      assert.deepEqual(names.toSorted(), ['in-a', 'in-b']);
      assert.equal(reflector.objects.list('b').length, 1);
      await waitFor('both watches', () => server.watches().length === 2);
      assert.deepEqual(
        server
          .watches()
          .map(({ path, query }) => `${path} ${query.get('resourceVersion')} ${query.get('labelSelector')}`)
          .toSorted(),
        ['/api/v1/namespaces/a/configmaps 5 x=y', '/api/v1/namespaces/b/configmaps 9 x=y'],
      );
    },
    { namespaces: ['a', 'b'], labelSelector: 'x=y' },
  ));

test('finds objects by an index, and keeps what is left of them', () => {
  let watching: ServerResponse | undefined;
  const withData = (name: string, version: string, color: string) => ({
    ...configMap(name, version),
    data: { color },
  });
  return withReflector(
    ({ query, response }) => {
      if (query.get('watch') === '1') {
        acceptWatch(response);
        watching = response;
      } else {
        sendList(response, '5', [withData('one', '3', 'red'), withData('two', '4', 'red')]);
      }
    },
    async ({ reflector, told }) => {
      const named = (color: string) =>
        reflector.objects.find('byColor', color).map(({ metadata }) => metadata.name);
      const response = await waitFor('a watch', () => watching);
      assert.deepEqual(named('red'), ['one', 'two']);
      sendEvent(response, 'MODIFIED', withData('one', '6', 'blue'));
      sendEvent(response, 'DELETED', withData('two', '7', 'red'));
      await waitFor('the events', () => told.length === 4);
      assert.deepEqual([named('red'), named('blue')], [[], ['one']]);
      assert.deepEqual(Object.keys(reflector.objects.list()[0] ?? {}), ['metadata', 'color']);
      assert.throws(() => reflector.objects.find('byShape', 'round'), /no index byShape/);
    },
    {
      // Trimmed objects are what the index and the cache see.
      trim: (object) => {
        const { color } = object['data'] as { color: string };
        return { metadata: object.metadata, color } as never;
      },
      indexes: { byColor: (object) => [String(object['color'])] },
    },
  );
});

test('tells every object again from time to time', () =>
  withReflector(
    listOne(),
    async ({ told, reflector }) => {
      await reflector.synced;
      await waitFor('two rounds', () => told.length >= 3);
      assert.deepEqual(new Set(told), new Set(['set one@4']));
    },
    { resyncSeconds: 5 },
  ));

describe('a kind that the cluster need not have', () => {
  test('has no objects while it is not there, and has them when it is', () => {
    let isThere = false;
    return withReflector(
      (request) => (isThere ? listOne()(request) : sendStatus(request.response, 404, 'NotFound')),
      async ({ reflector, delays }) => {
        await reflector.synced;
        assert.equal(reflector.objects.size, 0);
        assert.equal(reflector.problem(), undefined);
        isThere = true;
        await waitFor('the object', () => reflector.objects.size === 1);
        // It is noticed within a minute.
        assert.ok(delays.every((delay) => delay < 60_000 || delay === 180_000));
      },
      { isOptional: true },
    );
  });

  test('loses its objects when it goes', () => {
    let isThere = true;
    return withReflector(
      (request) => (isThere ? listOne()(request) : sendStatus(request.response, 404, 'NotFound')),
      async ({ server, told }) => {
        const watch = await waitFor('a watch', () => server.watches()[0]);
        isThere = false;
        watch.response.end();
        await waitFor('the end', () => told.includes('deleted one'));
      },
      { isOptional: true },
    );
  });

  test('is a problem when it is not there and has to be', () =>
    withReflector(
      ({ response }) => sendStatus(response, 404, 'NotFound'),
      async ({ reflector }) => {
        await waitFor('the problem', () => /configmaps: .*404/.test(reflector.problem() ?? ''));
      },
    ));
});

test('an object of a list without a name is no list', () =>
  withReflector(
    ({ response }) => sendJson(response, { metadata: { resourceVersion: '1' }, items: [{ metadata: {} }] }),
    async ({ reflector }) => {
      await waitFor('the problem', () => /no object in a list/.test(reflector.problem() ?? ''));
    },
  ));
