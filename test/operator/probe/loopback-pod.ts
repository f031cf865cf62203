/**
 * A real tracker that stands in for a pod: on an address of the loopback network of its own. Its listeners have random
 * ports, since a program that listens everywhere would take the usual ones on every address.
 */
import { randomInt } from 'node:crypto';
import type { RunningPod } from '../../../operator/probe/plan.ts';
import {
  type Cleaner,
  type PartialConfig,
  startTrackerProcess,
  type TrackerProcess,
} from '../../support/tracker-process.ts';

/** A tracker and the pod that it stands for. */
export interface LoopbackPod {
  readonly pod: RunningPod;
  readonly address: string;
  readonly tracker: TrackerProcess;
  /** What the resource of such a tracker says of its listeners. */
  readonly spec: ListenerSpec;
}

interface ListenerSpec {
  readonly udp: readonly [{ readonly name: 'main'; readonly port: number }];
  readonly http: readonly [{ readonly name: 'main'; readonly port: number }];
  readonly api: { readonly port: number };
}

/** Below the ports that the system hands out itself. */
const FIRST_PORT = 9_999;
const LAST_PORT = 30_000;

/** An address of 127.0.0.0/8 that no other test is likely to have. */
export function loopbackAddress(): string {
  return `127.${randomInt(64, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
}

/** Listeners at random ports. */
export function randomListeners(): ListenerSpec {
  const [udp, http, api] = Array.from(
    { length: 3 },
    (_, index) => 3 * randomInt(FIRST_PORT / 3, LAST_PORT / 3) + index,
  );
  return { udp: [{ name: 'main', port: udp }], http: [{ name: 'main', port: http }], api: { port: api } };
}

/** The configuration of such a tracker. */
export function loopbackConfig(address: string, spec: ListenerSpec): PartialConfig {
  return {
    udp_trackers: [{ bind_address: `${address}:${spec.udp[0].port}` }],
    http_trackers: [{ bind_address: `${address}:${spec.http[0].port}` }],
    http_api: { bind_address: `${address}:${spec.api.port}`, access_tokens: { admin: 'token-of-the-test' } },
    health_check_api: { bind_address: `${address}:1313` },
    metrics: { bind_address: `${address}:1314` },
  };
}

/** Starts a tracker with the listeners, the API and the health check that its resource would have. */
export async function startLoopbackPod(
  context: Cleaner,
  config: PartialConfig = {},
  address: string = loopbackAddress(),
  spec: ListenerSpec = randomListeners(),
): Promise<LoopbackPod> {
  const tracker = await startTrackerProcess(context, { ...loopbackConfig(address, spec), ...config });
  return { pod: { name: 'sample-0', addresses: [address], isReady: true }, address, tracker, spec };
}
