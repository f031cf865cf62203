/**
 * The tour with kubectl in docs/operator.md, held current: every command of it is run, in its order, against a real API server
 * with a running operator, and must print what the page shows. A real tracker stands in the place of the pod; the test plays
 * the controllers and the kubelet.
 *
 * Of what the page shows, `...` stands for lines that are left out. Times, ages, addresses and the widths of columns are
 * those of the day.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runBinary } from '../../apiserver/commands.ts';
import type { NamedObject } from '../../apiserver/client.ts';
import { useApiServer } from '../../apiserver/server.ts';
import { trackerDefinitionObject, trackerObject } from '../../apiserver/trackers.ts';
import { needs } from '../../support/parts.ts';
import { temporaryFolder } from '../../support/tracker-process.ts';
import { waitFor } from '../../support/waiting.ts';
import { at } from '../environments.ts';
import { loopbackAddress, startLoopbackPod } from '../probe/loopback-pod.ts';
import {
  objectIn,
  playPod,
  playWorkload,
  readyAt,
  startOperator,
  waitForObject,
} from '../reconcile/running-operator.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));

const DOCS = join(import.meta.dirname, '../../../docs');
const NAMESPACE = 'tour';
const USUAL_PORTS = {
  udp: [{ name: 'main', port: 6969 }],
  http: [{ name: 'main', port: 7070 }],
  api: { port: 1212 },
} as const;
/** Commands that change nothing: what they print is waited for. */
const LOOKS: readonly string[] = ['get', 'describe', 'diff', 'explain'];

/** A command of the page, and the lines below it. */
interface Step {
  readonly words: readonly string[];
  readonly shown: readonly string[];
}

/** The section of the page. */
function readSection(): string {
  const page = readFileSync(join(DOCS, 'operator.md'), 'utf8');
  return (page.split('## A tour with kubectl\n')[1] ?? '').split('\n## ')[0] ?? '';
}

/** The file of the section whose first line is its name. */
function readShownFile(section: string, name: string): string {
  const files = [...section.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) => text);
  const file = files.find((text) => text.startsWith(`# ${name}\n`));
  assert(file !== undefined, `the page shows ${name}`);
  return file;
}

/** The commands of the consoles of the section. */
function readTour(section: string): Step[] {
  const consoles = [...section.matchAll(/```console\n([^]*?)```/g)].map(([, text = '']) => text);
  return consoles.flatMap((text) =>
    text
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command = '', ...shown] = part.trimEnd().split('\n');
        return { words: command.split(' '), shown };
      }),
  );
}

/** A line without what is different every day. */
function plain(line: string): string {
  return line
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replaceAll(/\b10\.96\.\d+\.\d+\b/g, 'ADDRESS')
    .replaceAll(/\bpvc-[0-9a-f-]{36}\b/g, 'VOLUME')
    .replace(/\b(\d+m)?\d+s$/, 'AGE')
    .replaceAll(/(\S)\s{2,}/g, '$1  ')
    .trimEnd();
}

/** Whether the lines are what is shown, where `...` stands for any. Throws with the first part that is not there. */
function compare(printed: readonly string[], shown: readonly string[], isTable: boolean): void {
  const lines = printed.map(plain);
  const parts: string[][] = [[]];
  for (const line of shown) {
    if (line === '...') parts.push([]);
    else parts.at(-1)?.push(plain(line));
  }
  if (parts.length === 1) {
    assert.deepEqual(lines, parts[0]);
    return;
  }
  assert.ok(!isTable, 'nothing of a table is left out');
  let from = 0;
  for (const part of parts.filter(({ length }) => length > 0)) {
    const found = lines.findIndex(
      (_line, index) => index >= from && part.every((line, offset) => lines[index + offset] === line),
    );
    assert.ok(found >= 0, `not printed:\n${part.join('\n')}\nbut:\n${lines.slice(from).join('\n')}`);
    from = found + part.length;
  }
}

/** What the rest of a cluster does after some of the commands. */
async function playCluster(context: TestContext, command: string): Promise<void> {
  const { admin } = server();
  const tracker = trackerObject('public', {}, NAMESPACE);
  if (command === 'apply -f examples/minimal.yaml') {
    const workload = await waitForObject(
      server(),
      objectIn(NAMESPACE, 'apps/v1', 'StatefulSet', 'public'),
      'made',
    );
    const address = loopbackAddress();
    await startLoopbackPod(context, {}, address, USUAL_PORTS);
    const claim = objectIn(NAMESPACE, 'v1', 'PersistentVolumeClaim', 'public-data');
    const volumeName = 'pvc-01234567-89ab-cdef-0123-456789abcdef';
    await admin.apply({ ...claim, spec: { volumeName } }, { manager: 'kube-controller-manager' });
    const status = { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' } };
    await admin.apply({ ...claim, status }, { subresource: 'status', manager: 'kube-controller-manager' });
    await playWorkload(server(), workload, { isReady: true });
    const started = { running: { startedAt: new Date().toISOString() } };
    const container = {
      name: 'tracker',
      image: 'x:1',
      imageID: '',
      ready: true,
      restartCount: 0,
      state: started,
    };
    await playPod(server(), NAMESPACE, 'public', { ...readyAt(address), containerStatuses: [container] });
  }
  if (command === 'delete tt public') {
    await waitFor('an end', async () => (await admin.get(tracker)) === undefined);
    for (const path of ['/apis/apps/v1/statefulsets', '/api/v1/services', '/api/v1/configmaps']) {
      const list = path.replace(/\/([a-z]+)$/, `/namespaces/${NAMESPACE}/$1`);
      const { body } = await admin.request('GET', list);
      // A list of the server.
      for (const item of (body as { items: NamedObject[] }).items) {
        if (at(item, 'metadata.ownerReferences') !== undefined) {
          await admin.request('DELETE', `${list}/${item.metadata.name}`);
        }
      }
    }
  }
}

test('docs/operator.md shows what kubectl prints', needs('apiserver'), async (context) => {
  const { admin, home } = server();
  await admin.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  await admin.apply({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: 'standard',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'example.com/disks',
  });
  await startOperator(context, server(), { namespaces: [NAMESPACE] });
  const changed = join(temporaryFolder(context), 'private.yaml');
  const section = readSection();
  writeFileSync(changed, readShownFile(section, 'private.yaml'));

  const tour = readTour(section);
  const verbs = new Set(tour.map(({ words }) => words[1]));
  assert.deepEqual(
    ['apply', 'wait', 'get', 'describe', 'diff', 'scale', 'explain', 'delete'].filter(
      (verb) => !verbs.has(verb),
    ),
    [],
    'the tour shows every one of them',
  );
  for (const { words, shown } of tour) {
    const [program, verb = '', ...rest] = words;
    assert.equal(program, 'kubectl');
    const args = rest.map((word) =>
      word === 'private.yaml' ? changed : word.replace(/^examples\//, `${DOCS}/examples/`),
    );
    const run = async () => {
      const { stdout, stderr } = await runBinary('kubectl', home, ['-n', NAMESPACE, verb, ...args]);
      compare(`${stdout}${stderr}`.trimEnd().split('\n'), shown, verb === 'get');
    };
    try {
      if (!LOOKS.includes(verb)) await run();
      else
        await waitFor(
          words.join(' '),
          () =>
            run().then(
              () => true,
              () => false,
            ),
          20_000,
        );
    } catch (error) {
      // Once more, for what is wrong.
      if (LOOKS.includes(verb)) await run();
      throw new Error(words.join(' '), { cause: error });
    }
    await playCluster(context, [verb, ...rest].join(' '));
  }
});
