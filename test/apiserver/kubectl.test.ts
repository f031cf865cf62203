/**
 * What a user sees of trackers with kubectl: the examples applied, listed, explained, compared, scaled and waited for.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { trackerDefinition } from '../../operator/crd/definition.ts';
import { at } from '../operator/environments.ts';
import { needs } from '../support/parts.ts';
import { runBinary } from './commands.ts';
import { useApiServer } from './server.ts';
import { DEFINITION_FILE, trackerDefinitionObject, trackerObject } from './trackers.ts';

const EXAMPLES = join(import.meta.dirname, '../../docs/examples');
const server = useApiServer(async ({ home }) => {
  for (const args of [
    ['apply', '--server-side', '-f', DEFINITION_FILE],
    ['wait', '--for=condition=Established', '--timeout=30s', '-f', DEFINITION_FILE],
  ]) {
    const { code, stderr } = await runBinary('kubectl', home, args);
    assert.equal(code, 0, stderr);
  }
});

/** Runs kubectl and gives what it printed. Rejects with its complaint unless it ends with `code`. */
async function kubectl(args: readonly string[], input = '', code = 0): Promise<string> {
  const ended = await runBinary('kubectl', server().home, args, input);
  assert.equal(ended.code, code, `kubectl ${args.join(' ')}: ${ended.stderr}${ended.stdout}`);
  return ended.stdout + ended.stderr;
}

describe('with kubectl', () => {
  test('the definition is what its file says, to the letter', needs('apiserver'), async () => {
    const stored = await server().admin.get(trackerDefinitionObject());
    assert.deepEqual(
      at(stored, 'spec.versions.0.schema'),
      // What is undefined is left out in JSON.
      JSON.parse(JSON.stringify(at(trackerDefinition(), 'spec.versions.0.schema'))),
    );
  });

  test('the examples are applied, and applied again change nothing', needs('apiserver'), async () => {
    const names = ['public', 'club', 'tuned', 'edge', 'secure', 'open', 'lab', 'plain'];
    const first = await kubectl(['apply', '-f', EXAMPLES]);
    for (const name of names) {
      assert.match(first, new RegExp(`torrusttracker.tracker.torrust.com/${name} created`));
    }
    const versions = () => kubectl(['get', 'tt', '-o', 'jsonpath={.items[*].metadata.resourceVersion}']);
    const before = await versions();
    const again = await kubectl(['apply', '-f', EXAMPLES]);
    for (const line of again.trim().split('\n')) assert.match(line, / unchanged$/);
    assert.equal(await versions(), before);
  });

  test('a mistake is told in words, and nothing is stored', needs('apiserver'), async () => {
    const refused = await kubectl(['apply', '-f', join(EXAMPLES, 'refused/cluster-policy.yaml')], '', 1);
    assert.match(refused, /acknowledgeSourceNAT/);
    const unknown = await kubectl(['apply', '-f', join(EXAMPLES, 'refused/unknown-field.yaml')], '', 1);
    assert.match(unknown, /unknown field "spec\.annonce"/);
    assert.match(await kubectl(['get', 'tt', 'nat', 'typo'], '', 1), /"nat" not found[^]*"typo" not found/);
  });

  test('`get tt` shows readiness, mode, replicas, URL and age', needs('apiserver'), async () => {
    const tracker = trackerObject('shown', { mode: 'Listed' });
    await server().admin.apply(tracker);
    await server().admin.apply(
      {
        ...tracker,
        status: {
          readyReplicas: 1,
          announceURLs: ['udp://192.0.2.1:6969/announce', 'http://192.0.2.1:7070/announce'],
          conditions: [condition('True', 'Serving')],
        },
      },
      { subresource: 'status' },
    );
    const [head = '', row = ''] = (await kubectl(['get', 'tt', 'shown'])).split('\n');
    assert.deepEqual(
      head.split(/ {2,}/).map((title) => title.trim()),
      ['NAME', 'READY', 'MODE', 'REPLICAS', 'ANNOUNCE URL', 'AGE'],
    );
    assert.match(row, /^shown +True +Listed +1 +udp:\/\/192\.0\.2\.1:6969\/announce +\d+s$/);
    assert.match(await kubectl(['get', 'torrust', 'shown', '-o', 'wide']), /Serving +It is so\./);
  });

  test('`explain` knows every field', needs('apiserver'), async () => {
    const spec = await kubectl(['explain', 'tt.spec']);
    for (const field of ['udp', 'http', 'exposure', 'database', 'hibernate']) {
      assert.match(spec, new RegExp(`^ {2}${field}\\t<`, 'm'));
    }
    const shrinking = await kubectl(['explain', 'torrusttracker.spec.database.sqlite.size']);
    assert.match(shrinking, /It can grow, never shrink/);
  });

  test('`diff` shows a change, and none when there is none', needs('apiserver'), async () => {
    const file = join(EXAMPLES, 'minimal.yaml');
    await kubectl(['apply', '-f', file]);
    assert.equal(await kubectl(['diff', '-f', file]), '');
    const changed = JSON.stringify(trackerObject('public', { mode: 'Private' }));
    assert.match(await kubectl(['diff', '-f', '-'], changed, 1), /^-\s+mode: Public\n\+\s+mode: Private$/m);
  });

  test('`scale` sets it to sleep and wakes it, and refuses more', needs('apiserver'), async () => {
    await server().admin.apply(trackerObject('scaled', {}));
    const scale = (count: number, code = 0) =>
      kubectl(['scale', 'tt/scaled', `--replicas=${count}`], '', code);
    for (const count of [0, 1]) {
      assert.match(await scale(count), /scaled/);
      const stored = await kubectl(['get', 'tt', 'scaled', '-o', 'jsonpath={.spec.replicas}']);
      assert.equal(stored, String(count));
    }
    assert.match(await scale(3, 1), /replicas is 0 or 1/);
  });

  test('`wait` waits for Ready', needs('apiserver'), async () => {
    const tracker = trackerObject('awaited', {});
    const { admin } = server();
    const tell = (status: 'True' | 'False', reason: string) =>
      admin.apply(
        { ...tracker, status: { conditions: [condition(status, reason)] } },
        { subresource: 'status' },
      );
    await admin.apply(tracker);
    await tell('False', 'PodsNotReady');
    const waiting = kubectl(['wait', '--for=condition=Ready', '--timeout=50s', 'tt/awaited']);
    await tell('True', 'Serving');
    assert.match(await waiting, /awaited condition met/);
  });

  test('`describe` has the sentence of every condition', needs('apiserver'), async () => {
    const tracker = trackerObject('described', {});
    await server().admin.apply(tracker);
    const status = { conditions: [condition('False', 'PodsNotReady')] };
    await server().admin.apply({ ...tracker, status }, { subresource: 'status' });
    const described = await kubectl(['describe', 'tt', 'described']);
    assert.match(
      described,
      /Message: +It is so\.[^]*Reason: +PodsNotReady\n +Status: +False\n +Type: +Ready/,
    );
  });

  test('`delete` leaves nothing that waits for a finalizer', needs('apiserver'), async () => {
    await server().admin.apply(trackerObject('gone', {}));
    await kubectl(['delete', 'tt', 'gone', '--timeout=20s']);
    assert.match(await kubectl(['get', 'tt', 'gone'], '', 1), /not found/);
  });
});

function condition(status: 'True' | 'False', reason: string): object {
  return {
    type: 'Ready',
    status,
    reason,
    message: 'It is so.',
    observedGeneration: 1,
    lastTransitionTime: '2026-11-22T12:00:00Z',
  };
}
