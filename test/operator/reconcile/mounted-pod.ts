/**
 * A pod of a tracker as the kubelet would run it, on an address of the loopback network: the real tracker with the
 * configuration and the Secrets of its workload's template, mounted as the kubelet mounts them and delivered again when the
 * test says so.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NamedObject } from '../../apiserver/client.ts';
import type { ApiServer } from '../../apiserver/server.ts';
import {
  type Cleaner,
  superviseTracker,
  temporaryFolder,
  type TrackerProcess,
} from '../../support/tracker-process.ts';
import { at } from '../environments.ts';
import { objectIn, playPod, playWorkload, readyAt } from './running-operator.ts';

/** A pod that runs. */
export interface MountedPod {
  readonly address: string;
  readonly tracker: TrackerProcess;
  /** Brings what the ConfigMap and the Secrets hold now into the pod. */
  deliver(): Promise<void>;
}

/** A volume of a template. */
interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: {
    readonly secretName: string;
    readonly items?: readonly { readonly key: string; readonly path: string }[];
  };
}

interface Mount {
  readonly name: string;
  readonly mountPath: string;
}

const CONFIG_FOLDER = '/etc/torrust/tracker';

/** Starts the pod of a StatefulSet, and tells the API server that it is ready. It ends with the test. */
export async function startMountedPod(
  context: Cleaner,
  server: ApiServer,
  workload: NamedObject,
  address: string,
): Promise<MountedPod> {
  const { name, namespace = '' } = workload.metadata;
  // A template that the operator has made.
  const { volumes, containers } = at(workload, 'spec.template.spec') as {
    volumes: readonly Volume[];
    containers: readonly { readonly volumeMounts: readonly Mount[] }[];
  };
  const root = temporaryFolder(context);
  let deliveries = 0;
  const deliver = async (): Promise<void> => {
    deliveries += 1;
    for (const { name: volumeName, mountPath } of containers.flatMap(({ volumeMounts }) => volumeMounts)) {
      const volume = volumes.find((each) => each.name === volumeName);
      const files = volume === undefined ? undefined : await readVolume(server, namespace, volume);
      const folder = join(root, mountPath);
      mkdirSync(folder, { recursive: true });
      if (files === undefined) continue;
      const texts = [...files].map(([file, text]): [string, string] => [file, atHome(text, root, address)]);
      mount(folder, new Map(texts), deliveries);
    }
  };
  await deliver();
  mkdirSync(join(root, '/var/lib/torrust/tracker/database'), { recursive: true });
  const args = ['run', '--config', join(root, CONFIG_FOLDER, 'tracker.toml')];
  const tracker = await superviseTracker(context, args, { env: {}, folder: root });
  await playWorkload(server, workload, { isReady: true });
  await playPod(server, namespace, name, readyAt(address));
  return { address, tracker, deliver };
}

/** What a volume holds, by the names of its files; undefined for one that the pod writes. */
async function readVolume(
  server: ApiServer,
  namespace: string,
  { configMap, secret }: Volume,
): Promise<Map<string, string> | undefined> {
  if (configMap !== undefined) {
    const object = await server.admin.get(objectIn(namespace, 'v1', 'ConfigMap', configMap.name));
    return new Map(Object.entries((at(object, 'data') ?? {}) as Record<string, string>));
  }
  if (secret === undefined) return undefined;
  const object = await server.admin.get(objectIn(namespace, 'v1', 'Secret', secret.secretName));
  // A Secret: texts in base64.
  const data = (at(object, 'data') ?? {}) as Record<string, string>;
  const items = secret.items ?? Object.keys(data).map((key) => ({ key, path: key }));
  return new Map(items.map(({ key, path }) => [path, Buffer.from(data[key] ?? '', 'base64').toString()]));
}

/** A configuration with the folders and the address of this pod, which shares both with the machine. */
function atHome(text: string, root: string, address: string): string {
  return text
    .replaceAll('"/run/', `"${root}/run/`)
    .replaceAll('"/var/', `"${root}/var/`)
    .replaceAll(/"(0\.0\.0\.0|\[::\]):/g, `"${address}:`);
}

/** As the kubelet does: files behind a link, of which another one takes the place at once. */
function mount(folder: string, files: ReadonlyMap<string, string>, version: number): void {
  const isSame = [...files].every(([file, text]) => readOrNothing(join(folder, file)) === text);
  if (isSame && version > 1) return;
  const data = `..${version}`;
  mkdirSync(join(folder, data));
  for (const [file, text] of files) writeFileSync(join(folder, data, file), text);
  symlinkSync(data, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  for (const file of files.keys()) {
    rmSync(join(folder, file), { force: true });
    symlinkSync(join('..data', file), join(folder, file));
  }
  assert.ok([...files].every(([file, text]) => readOrNothing(join(folder, file)) === text));
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
