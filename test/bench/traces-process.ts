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
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { makeTracker } from '../fuzz/in-process-listeners.ts';
import { infoHashWord, isLeecher, PROFILES, Random, skewedTorrent, sourceAddressWord } from './population.ts';
import { ANNOUNCE_BYTES, type Datagrams, datagrams, type openWalk, placeOf } from './udp-walk.ts';

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
  const announcer = new Announcer(parts.ids, seed);
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
      const before = process.threadCpuUsage();
      const replied = walk(input);
      const { user, system } = process.threadCpuUsage(before);
      // The main thread, whose work this is, looks ten times a second.
      ring.read(() => traced++);
      if (turn < warmUpTurns) continue;
      micros[variant].push(user + system);
      bytes += replied;
    }
  }
  assert.equal(ring.lost, 0, 'every request that was chosen was written down');
  const replies = turns * VARIANTS.length * announces;
  return { micros, peersPerReply: (bytes / replies - 20) / 6, traced };
}

/** Makes announces of the first profile, with connection ids that are right. */
class Announcer {
  readonly #random: Random;
  readonly #profile = PROFILES['1'];
  readonly #addresses: readonly PeerAddress[];
  readonly #ids: readonly (readonly [number, number])[];

  constructor(ids: ReturnType<typeof makeTracker>['ids'], seed: number) {
    this.#random = new Random(seed);
    ids.readClock(Math.floor(Date.now() / 1000));
    this.#addresses = Array.from({ length: this.#profile.addresses }, (_, index) => {
      const address = new PeerAddress();
      const word = sourceAddressWord(index);
      address.family = 4;
      address.bytes.set([word & 0xff, (word >> 8) & 0xff, (word >> 16) & 0xff, word >>> 24]);
      address.port = 5000;
      return address;
    });
    this.#ids = this.#addresses.map((address) => {
      ids.issue(address);
      return [ids.high, ids.low];
    });
  }

  fill({ memory, sources }: Datagrams): void {
    const count = memory.bytes.length / placeOf(1);
    for (let i = 0; i < count; i++) this.#write(memory, sources, i);
  }

  #write({ view, words, bytes }: Datagrams['memory'], sources: PeerAddress[], index: number): void {
    const { endpoints, torrents, numWant } = this.#profile;
    const at = placeOf(index);
    const word = at >> 2;
    const endpoint = this.#random.below(endpoints);
    const address = endpoint % this.#addresses.length;
    const torrent = skewedTorrent(this.#random, torrents);
    sources[index] = this.#addresses[address];
    bytes.fill(0, at, at + ANNOUNCE_BYTES);
    view.setInt32(at, this.#ids[address][0]);
    view.setInt32(at + 4, this.#ids[address][1]);
    view.setInt32(at + 8, 1);
    view.setInt32(at + 12, index);
    for (let i = 0; i < 5; i++) words[word + 4 + i] = infoHashWord(torrent, i);
    words[word + 11] = endpoint;
    words[word + 12] = Math.imul(endpoint, 0x9e3779b1);
    if (isLeecher(endpoint)) view.setInt32(at + 68, 5);
    view.setInt32(at + 92, numWant);
    view.setUint16(at + 96, 1 + (Math.floor(endpoint / this.#addresses.length) % 65_535));
  }
}

if (import.meta.main) {
  // The benchmark that starts this process passes exactly this.
  const options = JSON.parse(process.argv[2] ?? '') as TracesProcessOptions;
  console.log(JSON.stringify(await main(options)));
}
