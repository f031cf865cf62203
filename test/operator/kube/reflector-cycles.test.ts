/** Ten thousand watches, and the lists between them, leave nothing behind. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { waitFor } from '../../support/waiting.ts';
import { withReflector } from './reflector-setup.ts';
import { acceptWatch, configMap, sendBookmark, sendEvent, sendList, statusOf } from './scripted-server.ts';

const WARM_UP_CYCLES = 2_000;
const CYCLES = 10_000;
/** Two hundred bytes a watch; an error or a request that stays behind costs more. */
const MAX_GROWTH_BYTES = 200 * CYCLES;
const CYCLES_TO_A_CUT = 50;
/** Every fifth watch ends as an expired one does, so that a list follows. */
const CYCLES_TO_AN_EXPIRY = 5;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** The least of several looks, as what is under way at the moment counts too. */
async function heapBytes(): Promise<number> {
  const looks: number[] = [];
  for (let look = 0; look < 5; look += 1) {
    collectGarbage();
    looks.push(process.memoryUsage().heapUsed);
    await turn();
  }
  return Math.min(...looks);
}

test('leaves connections, heap, timers and listeners as they were', () => {
  let version = 10;
  let watches = 0;
  return withReflector(
    ({ query, response }) => {
      version += 1;
      if (query.get('watch') !== '1') {
        sendList(response, String(version), [configMap('one', String(version))]);
        return;
      }
      watches += 1;
      acceptWatch(response);
      sendEvent(response, 'MODIFIED', configMap('one', String(version)));
      sendBookmark(response, String(version));
      if (watches % CYCLES_TO_A_CUT === 0) {
        setImmediate(() => response.socket?.resetAndDestroy());
        return;
      }
      if (watches % CYCLES_TO_AN_EXPIRY === 0) sendEvent(response, 'ERROR', statusOf(410, 'Expired'));
      response.end();
    },
    async ({ server, reflector, controller, told, log, delays }) => {
      const reach = (cycles: number) =>
        waitFor(`${cycles} watches`, () => watches > cycles, 150_000).then(() => {
          // What the test itself remembers is no leak.
          for (const remembered of [server.requests, told, log.lines, delays])
            (remembered as unknown[]).length = 0;
        });
      await reach(WARM_UP_CYCLES);
      const heapBefore = await heapBytes();
      const openedBefore = server.connections.opened;
      await reach(WARM_UP_CYCLES + CYCLES);
      const growth = (await heapBytes()) - heapBefore;
      assert.ok(growth < MAX_GROWTH_BYTES, `the heap grew by ${growth} bytes`);
      assert.ok(server.connections.open.size <= 4, `${server.connections.open.size} connections`);
      // A watch that is cut costs its connection, one that ends does not.
      const opened = server.connections.opened - openedBefore;
      assert.ok(opened <= (1.5 * CYCLES) / CYCLES_TO_A_CUT, `${opened} connections were opened`);
      const listeners = getEventListeners(controller.signal, 'abort').length;
      assert.ok(listeners <= 2, `${listeners} listeners`);
      const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
      assert.ok(timers < 20, `${timers} timers`);
      assert.equal(reflector.objects.size, 1);
    },
  );
});
