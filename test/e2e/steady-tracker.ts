/**
 * A listed tracker behind load balancers with everybody who notices what becomes of it: a client that announces every second over
 * UDP, another one over HTTP, and somebody who adds to the whitelist.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Announcer, startAnnouncer, tellFigures } from './announcer.ts';
import { openClientHost } from './client-host.ts';
import {
  applyTracker,
  awaitReady,
  callApi,
  type Cleaning,
  createNamespace,
  publicAddresses,
} from './world.ts';
import { findRefused, startWriter, type Writer } from './writer.ts';

/** What the tracker is to be, beside what may differ. */
export const STEADY_SPEC = {
  mode: 'Listed',
  announce: { intervalSeconds: 60, minIntervalSeconds: 30 },
  exposure: { type: 'LoadBalancer', ipFamilyPolicy: 'SingleStack' },
} as const;

/** What the clients announce, in hexadecimal digits. */
export const INFO_HASH = Buffer.from('announced-each-second').subarray(0, 20).toString('hex');

/** The tracker, and who watches it. */
export interface SteadyTracker {
  readonly namespace: string;
  /** Where it answers over HTTP. */
  readonly base: string;
  readonly udp: Announcer;
  readonly http: Announcer;
  readonly writer: Writer;
  /** Makes a fault, waits until both clients are served again, and tells what they lost. */
  suffer(context: TestContext, fault: string, make: () => Promise<void>): Promise<void>;
  /** Ends the changes, tells what became of them and of all announces, and rejects when one that was acknowledged is lost. */
  settle(context: TestContext): Promise<void>;
}

/** Makes one, and waits until it serves. */
export async function openSteadyTracker(
  cleaning: Cleaning,
  namespaceName: string,
  name: string,
  spec: object = STEADY_SPEC,
): Promise<SteadyTracker> {
  const namespace = await createNamespace(cleaning, namespaceName);
  await applyTracker(namespace, name, spec);
  await awaitReady(namespace, name);
  const addresses = await publicAddresses(namespace, name);
  const base = `http://${addresses.http}:7070`;
  const list = async (infoHash: string): Promise<void> => {
    await callApi(namespace, name, 'POST', `whitelist/${infoHash}`);
  };
  await list(INFO_HASH);
  const udp = startAnnouncer(
    cleaning,
    await openClientHost(cleaning),
    `udp://${addresses.udp}:6969/announce`,
  );
  const http = startAnnouncer(cleaning, await openClientHost(cleaning), `${base}/announce`);
  await Promise.all([udp.healed(), http.healed()]);
  const writer = startWriter(list);
  cleaning.after(() => writer.stop());
  return {
    namespace,
    base,
    udp,
    http,
    writer,
    async suffer(context, fault, make) {
      const from = Date.now();
      await make();
      await Promise.all([udp.healed(), http.healed()]);
      context.diagnostic(tellFigures(`${fault}, UDP`, await udp.figuresSince(from)));
      context.diagnostic(tellFigures(`${fault}, HTTP`, await http.figuresSince(from)));
    },
    async settle(context) {
      await writer.stop();
      const { acknowledged, refused } = writer;
      assert.ok(acknowledged.length > 0);
      const lost = await findRefused(base, acknowledged);
      context.diagnostic(
        `whitelist: ${acknowledged.length} changes acknowledged, ${refused} not, ${lost.length} lost`,
      );
      context.diagnostic(tellFigures('all of it, UDP', await udp.figuresSince(0)));
      context.diagnostic(tellFigures('all of it, HTTP', await http.figuresSince(0)));
      assert.deepEqual(lost, []);
    },
  };
}
