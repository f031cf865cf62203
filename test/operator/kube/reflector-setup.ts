/**
 * A reflector of ConfigMaps against a scripted API server, and what a test sees of both.
 */
import { Registry } from 'prom-client';
import { resourceOf } from '../../../operator/kube/api-resource.ts';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { type Reflector, type ReflectorOptions, startReflector } from '../../../operator/kube/reflector.ts';
import { createFastClock } from './clocks.ts';
import { createLog, type ReadableLog } from './logs.ts';
import { openScriptedServer, type Script, type ScriptedServer } from './scripted-server.ts';

export interface Setup {
  readonly server: ScriptedServer;
  readonly reflector: Reflector;
  readonly registry: Registry;
  readonly log: ReadableLog;
  /** The changes that were told: `set one@5`, `deleted one`. */
  readonly told: string[];
  /** The delays that the reflector asked of its clock. */
  readonly delays: readonly number[];
  readonly controller: AbortController;
}

const CONFIG_MAPS = resourceOf({ apiVersion: 'v1', kind: 'ConfigMap' });
/** Waits of 0.8 s take 8 ms. */
const FASTER = 100;

/** Runs a reflector while `use` does; everything is gone after that. */
export async function withReflector(
  script: Script,
  use: (setup: Setup) => Promise<void>,
  options: Partial<ReflectorOptions> = {},
): Promise<void> {
  const server = await openScriptedServer(script);
  const connection = Connection.parse(server.kubeconfig);
  const registry = new Registry();
  const metrics = createKubeMetrics(registry);
  const controller = new AbortController();
  const log = createLog();
  const clock = createFastClock(FASTER);
  const told: string[] = [];
  const reflector = startReflector({
    client: new KubeClient(connection, metrics.client),
    resource: CONFIG_MAPS,
    metrics: metrics.reflector,
    log,
    signal: controller.signal,
    clock,
    random: () => 0.5,
    ...options,
  });
  reflector.subscribe((change) => {
    const { name, resourceVersion } = change.object.metadata;
    told.push(change.kind === 'set' ? `set ${name}@${resourceVersion}` : `deleted ${name}`);
  });
  try {
    await use({ server, reflector, registry, log, told, delays: clock.delays, controller });
  } finally {
    controller.abort();
    await reflector.ended;
    await connection.close();
    await server.close();
  }
}
