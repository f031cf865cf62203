/**
 * Listeners of both kinds in this very thread, over a tracker of their own. The native ones serve when they are told
 * to (`step`), so that a test decides what has come when they look, and a seed repeats a run exactly.
 */
import { Access } from '../../tracker/access.ts';
import type { SocketAddress } from '../../tracker/config/address.ts';
import type { TrackerConfigInput } from '../../tracker/config/schema.ts';
import { validateConfig } from '../../tracker/config/validation.ts';
import { ConnectionIds } from '../../tracker/connection-id.ts';
import { ConnectionKeys } from '../../tracker/connection-keys.ts';
import { Gate, type GateMemory } from '../../tracker/gate.ts';
import { gateSettings } from '../../tracker/run/gate-settings.ts';
import { listenerSetups } from '../../tracker/run/listener-setups.ts';
import { HttpService } from '../../tracker/net/http-service.ts';
import type { Listener, ListenerSetup } from '../../tracker/net/listener.ts';
import { openNativeListeners } from '../../tracker/net/native/listeners.ts';
import { openHttpServer } from '../../tracker/net/portable/http-server.ts';
import { openUdpSocket } from '../../tracker/net/portable/udp-socket.ts';
import { UdpService } from '../../tracker/net/udp-service.ts';
import { Policy } from '../../tracker/policy.ts';
import { CounterRows } from '../../tracker/swarm/counters.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Tracker } from '../../tracker/tracker.ts';

/** What a tracker is made of, without sockets. */
export interface TrackerParts {
  readonly setups: readonly ListenerSetup[];
  readonly store: Store;
  readonly tracker: Tracker;
  readonly ids: ConnectionIds;
  readonly gate: Gate;
  readonly gateMemory: GateMemory;
  readonly rows: CounterRows;
  readonly counters: Float64Array;
}

export interface OpenListeners {
  /** In the order of the configuration, UDP first. */
  readonly addresses: readonly SocketAddress[];
  /** Serves what has come, waiting for it for at most a tenth of a second. Portable ones serve by themselves. */
  step(): void;
  close(): Promise<void>;
}

/** Makes a tracker that knows nobody yet, with a store of `memoryBytes`, and the set-ups of its listeners. */
export function makeTracker(config: Partial<TrackerConfigInput>, memoryBytes: number): TrackerParts {
  const valid = validateConfig(
    {
      metadata: { schema_version: '3.0.0' },
      logging: { trace_filter: 'off' },
      core: { listed: false, private: false, database: { driver: 'sqlite3' } },
      network: { receive_buffer_bytes: 2 ** 20 },
      // Where announces come from is counted elsewhere.
      source_guard: { exempt: ['0.0.0.0/0', '::/0'] },
      ...config,
    },
    () => 'the test',
  );
  const store = Store.create(memoryBytes, 4);
  const rows = CounterRows.create(1);
  const counters = rows.row(0);
  const policy = Policy.create(valid);
  const gateMemory = Gate.createMemory();
  return {
    setups: listenerSetups(valid),
    store,
    tracker: new Tracker(store, Access.create(), policy),
    ids: new ConnectionIds(ConnectionKeys.create()),
    gate: new Gate(gateMemory, gateSettings(valid), policy, counters),
    gateMemory,
    rows,
    counters,
  };
}

/** Opens native listeners in this thread. */
export function openNative(parts: TrackerParts): OpenListeners {
  const { listeners, serve, close } = openNativeListeners(
    parts.setups,
    false,
    parts.setups.map(() => parts),
  );
  return {
    addresses: listeners.map(({ address }) => address),
    step: () => serve(() => true),
    close: () => Promise.resolve(close(0)),
  };
}

/** Opens portable listeners in this thread. */
export async function openPortable(parts: TrackerParts): Promise<OpenListeners> {
  const listeners: Listener[] = [];
  for (const setup of parts.setups) {
    listeners.push(
      setup.kind === 'udp'
        ? await openUdpSocket(setup, new UdpService(setup, parts), false)
        : await openHttpServer(setup, new HttpService(setup, parts), false),
    );
  }
  return {
    addresses: listeners.map(({ address }) => address),
    step: () => undefined,
    close: () => closeAll(listeners),
  };
}

async function closeAll(listeners: readonly Listener[]): Promise<void> {
  for (const listener of listeners) await listener.close(0);
}
