/** Whatever the API server or the way to it does, the reflector comes back, neither too soon nor with a hole. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from '../../../operator/kube/backoff.ts';
import { waitFor } from '../../support/waiting.ts';
import { createFastClock } from './clocks.ts';
import { type Setup, withReflector } from './reflector-setup.ts';
import {
  acceptWatch,
  configMap,
  type Script,
  type SeenRequest,
  sendBookmark,
  sendEvent,
  sendList,
  sendStatus,
  statusOf,
} from './scripted-server.ts';

/** Lists one object at first, and two at a later version afterwards; each watch is for the next of `watches`, then all stay open. */
function script(...watches: Script[]): Script {
  let lists = 0;
  let count = 0;
  return (request: SeenRequest) => {
    if (request.query.get('watch') !== '1') {
      lists += 1;
      const again = [configMap('one', '20'), configMap('three', '21')];
      return lists === 1
        ? sendList(request.response, '5', [configMap('one', '3'), configMap('two', '4')])
        : sendList(request.response, '30', again);
    }
    const act = watches[count] ?? (({ response }) => acceptWatch(response));
    count += 1;
    return act(request);
  };
}

/** The versions that the watches began from. */
function starts({ server }: Setup): (string | null)[] {
  return server.watches().map(({ query }) => query.get('resourceVersion'));
}

const cut: Script = ({ response }) => {
  acceptWatch(response);
  sendBookmark(response, '8');
  setImmediate(() => response.socket?.resetAndDestroy());
};

describe('goes on from where it was after', () => {
  const cases: Record<string, { watch: Script; from: string; told?: string }> = {
    'a reset connection': { watch: cut, from: '8' },
    'an answer of 500': { watch: ({ response }) => sendStatus(response, 500, 'InternalError'), from: '5' },
    'an answer that is cut before its head': { watch: ({ response }) => void response.destroy(), from: '5' },
    'a 403 while the roles of a restarted server are not read yet': {
      watch: ({ response }) => sendStatus(response, 403, 'Forbidden'),
      from: '5',
    },
    'an ERROR event that is not about the version': {
      watch: ({ response }) => {
        acceptWatch(response);
        sendBookmark(response, '9');
        sendEvent(response, 'ERROR', statusOf(500, 'InternalError'));
      },
      from: '9',
    },
    'half a line of JSON': {
      watch: ({ response }) => {
        acceptWatch(response);
        sendEvent(response, 'MODIFIED', configMap('one', '6'));
        response.write('{"type":"MODIFIED","object":{"metada', () => setImmediate(() => response.destroy()));
      },
      from: '6',
      told: 'set one@6',
    },
    'half a line of JSON at an orderly end': {
      watch: ({ response }) => {
        acceptWatch(response);
        sendEvent(response, 'MODIFIED', configMap('one', '6'));
        response.end('{"type":"MODIFIED","object":{"metada');
      },
      from: '6',
      told: 'set one@6',
    },
    'an event that makes no sense': {
      watch: ({ response }) => {
        acceptWatch(response);
        sendBookmark(response, '7');
        sendEvent(response, 'PERHAPS', {});
      },
      from: '7',
    },
    'a line that is no JSON': {
      watch: ({ response }) => {
        acceptWatch(response);
        sendBookmark(response, '7');
        response.write('<html>\n');
      },
      from: '7',
    },
    'a stream that is silent for too long': {
      watch: ({ response }) => {
        acceptWatch(response);
        sendBookmark(response, '8');
      },
      from: '8',
    },
  };
  for (const [title, { watch, from, told: wanted }] of Object.entries(cases)) {
    test(title, () =>
      withReflector(script(watch), async (setup) => {
        await waitFor('a second watch', () => setup.server.watches().length >= 2);
        assert.deepEqual(starts(setup).slice(0, 2), ['5', from]);
        assert.equal(setup.server.lists().length, 1);
        assert.deepEqual(setup.told, ['set one@3', 'set two@4', ...(wanted === undefined ? [] : [wanted])]);
      }),
    );
  }
});

describe('lists anew, and tells what went and what came, after', () => {
  const refused: Script = ({ response }) => sendStatus(response, 500, 'InternalError');
  const cases: Record<string, readonly Script[]> = {
    'a 410 as an answer': [({ response }) => sendStatus(response, 410, 'Expired')],
    'a 410 as an ERROR event': [
      ({ response }) => {
        acceptWatch(response);
        sendEvent(response, 'ERROR', statusOf(410, 'Expired'));
      },
    ],
    'several failures, as the state of the server may be an older one': [refused, refused, refused],
  };
  for (const [title, watches] of Object.entries(cases)) {
    test(title, () =>
      withReflector(script(...watches), async (setup) => {
        await waitFor('a watch from the second list', () => starts(setup).includes('30'));
        assert.equal(setup.server.lists().length, 2);
        assert.equal(setup.server.watches().length, watches.length + 1);
        assert.deepEqual(setup.told.slice(2), ['deleted two', 'set one@20', 'set three@21']);
      }),
    );
  }
});

test('waits as long as a busy server asks', () =>
  withReflector(
    script(({ response }) => sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '17' })),
    async (setup) => {
      await waitFor('a second watch', () => setup.server.watches().length === 2);
      assert.ok(setup.delays.includes(17_000), setup.delays.join());
    },
  ));

test('waits no longer than five minutes, whatever a server asks', () =>
  withReflector(
    script(({ response }) => sendStatus(response, 429, 'TooManyRequests', { 'retry-after': '86400' })),
    async (setup) => {
      await waitFor('a second watch', () => setup.server.watches().length === 2);
      assert.equal(Math.max(...setup.delays), 300_000);
    },
  ));

test('is synced after a list that was refused for a while', () => {
  let count = 0;
  return withReflector(
    ({ query, response }) => {
      count += 1;
      if (count < 6) sendStatus(response, 403, 'Forbidden');
      else if (query.get('watch') === '1') acceptWatch(response);
      else sendList(response, '5', [configMap('one', '4')]);
    },
    async ({ reflector, delays, log }) => {
      await waitFor('the problem', () => /403 Forbidden/.test(reflector.problem() ?? ''));
      await reflector.synced;
      assert.equal(reflector.problem(), undefined);
      const waits = delays.slice(0, 5);
      assert.ok(
        waits.every((wait) => wait >= 800 && wait <= 30_000),
        waits.join(),
      );
      // The log has the first of the failures, not all.
      assert.equal(log.lines.filter(({ level }) => level === 'warn').length, 1);
    },
  );
});

test('does not race with a server that ends every watch at once', () => {
  const clock = createFastClock(10);
  return withReflector(
    script(
      ...Array.from(
        { length: 50 },
        (): Script =>
          ({ response }) =>
            void response.writeHead(200).end(),
      ),
    ),
    async ({ server }) => {
      await waitFor('five watches', () => server.watches().length >= 5);
      const waits = clock.delays.filter((delay) => delay !== 180_000);
      assert.ok(waits.length >= 4 && waits.every((wait) => wait >= 800), waits.join());
    },
    // A watch of less than half a second is a short one here.
    { clock },
  );
});

test('does not race with a server that has forgotten every version', () =>
  withReflector(
    script(
      ...Array.from(
        { length: 50 },
        (): Script =>
          ({ response }) =>
            sendStatus(response, 410, 'Expired'),
      ),
    ),
    async ({ server, delays }) => {
      await waitFor('five watches', () => server.watches().length >= 5);
      assert.ok(delays.filter((delay) => delay >= 800 && delay !== 180_000).length >= 2, delays.join());
    },
  ));

test('finds a server that was away and is back', () =>
  withReflector(script(), async (setup) => {
    const { server } = setup;
    await waitFor('a watch', () => server.watches().length === 1);
    const away: Script = ({ response }) => void response.socket?.resetAndDestroy();
    server.answer(away);
    server.cut();
    await waitFor('some tries', () => server.requests.length >= 7);
    server.answer(({ query, response }) => {
      if (query.get('watch') === '1') acceptWatch(response);
      else sendList(response, '30', [configMap('new', '29')]);
    });
    await waitFor('the new state', () => setup.told.includes('set new@29'));
    await waitFor('a watch from there', () => starts(setup).at(-1) === '30');
    assert.equal(setup.reflector.problem(), undefined);
  }));

test('waits are between 0.8 and 30 s, grow, and begin anew after a success', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), (chances) => {
      const left = [...chances];
      const backoff = new Backoff(() => left.shift() ?? 0.5);
      for (const _ of chances) {
        const wait = backoff.nextMillis();
        assert.ok(wait >= 800 && wait <= 30_000);
      }
    }),
  );
  const late = new Backoff(() => 0.999_999);
  const waits = Array.from({ length: 6 }, () => Math.round(late.nextMillis()));
  assert.deepEqual(waits, [2_400, 7_200, 21_600, 30_000, 30_000, 30_000]);
  late.reset();
  assert.equal(Math.round(late.nextMillis()), 2_400);
});
