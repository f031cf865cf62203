/**
 * What the hook of traces costs the walk of a UDP announce, in this process: variants of the service take turns over one
 * store, so that whatever the machine does it does to all of them. Options as JSON in the argument; the result, the
 * CPU time of each variant's turns, as JSON on standard output.
 *
 * "A tracker without the hook" is the same source without the one line that asks for it: it is taken out while the module
 * is loaded. Every variant is loaded as a module of its own.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { RequestTraces, requestTraceSettings } from '../../tracker/net/request-traces.ts';
import { attachTraceRings } from '../../tracker/net/trace-ring.ts';
import { makeTracker } from '../fuzz/in-process-listeners.ts';
import { DatagramAnnouncer } from './datagram-announcer.ts';
import { threadCpuMicros } from './thread-clock.ts';
import { datagrams, type openWalk } from './udp-walk.ts';

export interface TracesProcessOptions {
  /** Announces of a turn, turns of each variant that are counted, and those before. */
  readonly announces: number;
  readonly turns: number;
  readonly warmUpTurns: number;
  /** One UDP request in so many is traced where traces are on. */
  readonly udpEvery: number;
  readonly seed: number;
}

export interface TracesProcessResult {
  /** Microseconds of CPU of the thread, turn by turn. */
  readonly micros: Readonly<Record<Variant, readonly number[]>>;
  readonly peersPerReply: number;
  /** Requests that were written down. */
  readonly traced: number;
}

/** The first is what the others are compared with; the second is the same once more, and tells what a difference is worth. */
export const VARIANTS = ['no hook', 'no hook, again', 'off', 'on'] as const;
export type Variant = (typeof VARIANTS)[number];

const HOOK = /^.*this\.#traces\?\.takesMeasured\(\).*\n/m;
const STORE_BYTES = 2 ** 28;
const PARAMETER = 'variant';

function main(options: TracesProcessOptions): Promise<TracesProcessResult> {
  loadVariants();
  return measure(options);
}

/** From now on a module that is imported with `?variant=` is one of its own, and so is the service that it imports. */
function loadVariants(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const parent = new URL(context.parentURL ?? 'file:///');
      const variant = parent.searchParams.get(PARAMETER);
      if (variant === null || !resolved.url.endsWith('/tracker/net/udp-service.ts')) return resolved;
      return { ...resolved, url: `${resolved.url}?${PARAMETER}=${encodeURIComponent(variant)}` };
    },
    load(url, context, next) {
      const variant = new URL(url).searchParams.get(PARAMETER);
      if (!url.includes('/tracker/net/udp-service.ts?') || variant?.startsWith('no hook') !== true)
        return next(url, context);
      const text = readFileSync(fileURLToPath(url), 'utf8');
      assert.match(text, HOOK, 'the service has the hook');
      return { format: 'module-typescript', source: text.replace(HOOK, ''), shortCircuit: true };
    },
  });
}

async function measure({
  announces,
  turns,
  warmUpTurns,
  udpEvery,
  seed,
}: TracesProcessOptions): Promise<TracesProcessResult> {
  const parts = makeTracker({ udp_trackers: [{ bind_address: '127.0.0.1:0' }] }, STORE_BYTES);
  const [setup] = parts.setups;
  assert.equal(setup.kind, 'udp');
  const settings = requestTraceSettings(udpEvery, 1);
  const [ring] = attachTraceRings(settings.rings);
  const walks = new Map<Variant, ReturnType<typeof openWalk>>();
  for (const variant of VARIANTS) {
    const url = `./udp-walk.ts?${PARAMETER}=${encodeURIComponent(variant)}`;
    // The same module, with another service behind it.
    const module = (await import(url)) as { readonly openWalk: typeof openWalk };
    const traces = variant === 'on' ? new RequestTraces(settings, 0) : undefined;
    walks.set(variant, module.openWalk(setup, { ...parts, traces }));
  }
  const announcer = new DatagramAnnouncer(parts.ids, seed);
  const input = datagrams(announces);
  const micros: Record<Variant, number[]> = { 'no hook': [], 'no hook, again': [], off: [], on: [] };
  let bytes = 0;
  let traced = 0;
  for (let turn = 0; turn < warmUpTurns + turns; turn++) {
    for (let i = 0; i < VARIANTS.length; i++) {
      // Each comes after each of the others as often.
      const variant = VARIANTS[(i + turn) % VARIANTS.length];
      const walk = walks.get(variant);
      assert(walk !== undefined);
      announcer.fill(input);
      const before = threadCpuMicros();
      const replied = walk(input);
      const spent = threadCpuMicros() - before;
      // The main thread, whose work this is, looks ten times a second.
      ring.read(() => traced++);
      if (turn < warmUpTurns) continue;
      micros[variant].push(spent);
      bytes += replied;
    }
  }
  assert.equal(ring.lost, 0, 'every request that was chosen was written down');
  const replies = turns * VARIANTS.length * announces;
  return { micros, peersPerReply: (bytes / replies - 20) / 6, traced };
}

if (import.meta.main) {
  // The benchmark that starts this process passes exactly this.
  const options = JSON.parse(process.argv[2] ?? '') as TracesProcessOptions;
  console.log(JSON.stringify(await main(options)));
}
