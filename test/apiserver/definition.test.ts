/**
 * The CustomResourceDefinition as a real API server takes it: what is accepted, what is refused and with which words, what
 * is stored, and what may change.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readTracker } from '../../operator/crd/tracker.ts';
import { at } from '../operator/environments.ts';
import { RULE_CASES } from '../operator/crd/rule-cases.ts';
import { readExamples } from '../operator/examples.ts';
import { needs } from '../support/parts.ts';
import { type ApiClient, messageOf, type NamedObject } from './client.ts';
import { useApiServer } from './server.ts';
import { trackerDefinitionObject, trackerObject } from './trackers.ts';

const server = useApiServer(({ admin }) => admin.install([trackerDefinitionObject()]));
const admin = (): ApiClient => server().admin;

/** What the server would store; its words where it refuses. */
async function tried(tracker: NamedObject): Promise<{ stored?: NamedObject; refusal?: string }> {
  const { status, body } = await admin().tryApply(tracker, { dryRun: true });
  // The answer to an apply is the object.
  return status < 300 ? { stored: body as NamedObject } : { refusal: messageOf(body) };
}

function specOf(tracker: NamedObject | undefined): unknown {
  return tracker?.['spec'];
}

/** What the operator's own reader makes of it. */
function readSpec(resource: unknown): unknown {
  const read = readTracker(resource);
  return read.kind === 'tracker' ? read.tracker.spec : read.problems;
}

/**
 * The server fills in every default but those inside of lists, which stay as they were written; for the operator's reader
 * both are the same.
 */
function assertStored(stored: NamedObject | undefined, resource: unknown): void {
  assert.deepEqual(readSpec(stored), readSpec(resource));
  // A field that is left out is undefined for the reader and absent in JSON.
  const read: unknown = JSON.parse(JSON.stringify(readSpec(resource)));
  assert.deepEqual(withoutLists(specOf(stored)), withoutLists(read));
  const { spec = {} } = resource as { spec?: Record<string, unknown> }; // An object of ours, with or without a spec.
  for (const list of ['udp', 'http']) {
    if (spec[list] !== undefined) assert.deepEqual(at(stored, `spec.${list}`), spec[list]);
  }
}

/** A value with the lengths of lists in the place of the lists. */
function withoutLists(value: unknown): unknown {
  if (Array.isArray(value)) return value.length;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withoutLists(field)]));
}

describe('stores every example, with the defaults that the operator sees', () => {
  for (const { name, resource } of readExamples('.')) {
    test(name, needs('apiserver'), async () => {
      const { stored, refusal } = await tried(resource as NamedObject); // An example is an object with a name.
      assert.equal(refusal, undefined);
      assertStored(stored, resource);
    });
  }
});

describe('refuses every example of a mistake with the words of its head', () => {
  for (const { name, resource, text } of readExamples('refused')) {
    test(name, needs('apiserver'), async () => {
      const { refusal = '' } = await tried(resource as NamedObject); // An example is an object with a name.
      const [head = ''] = text.split('\n');
      for (const word of head.replace('# ', '').split(' ')) {
        // Under server-side apply an unknown field is refused by its managed fields already, in words of their own.
        const said = word === 'unknown' ? '(unknown|not declared)' : word;
        assert.match(refusal, new RegExp(said, 'i'));
      }
    });
  }
});

describe('refuses, with the sentence of the rule, unless', () => {
  for (const [title, { says, broken, kept, name }] of Object.entries(RULE_CASES)) {
    test(title, needs('apiserver'), async () => {
      const { refusal = '' } = await tried(trackerObject(name ?? 'sample', broken));
      assert.ok(refusal.includes(says), refusal);
      const keeping = trackerObject('sample', kept);
      const { stored, refusal: unexpected } = await tried(keeping);
      assert.equal(unexpected, undefined);
      assertStored(stored, keeping);
    });
  }
});

describe('of a tracker that is there', () => {
  const sqlite = (more: object) => ({ database: { sqlite: { size: '2Gi', ...more } } });
  const snapshot = (more: object) => ({ swarm: { snapshot: { enabled: true, size: '2Gi', ...more } } });
  const cases: Record<string, { from: object; to: object; says?: string }> = {
    'a volume grows': { from: sqlite({}), to: sqlite({ size: '3000Mi' }) },
    'a volume never shrinks': {
      from: sqlite({}),
      to: sqlite({ size: '2047Mi' }),
      says: 'sqlite.size can grow but never shrink',
    },
    'the class of a volume stays': {
      from: sqlite({ storageClassName: 'fast' }),
      to: sqlite({ storageClassName: 'slow' }),
      says: 'sqlite.storageClassName is fixed',
    },
    'a class that was the default stays the default': {
      from: sqlite({}),
      to: sqlite({ storageClassName: 'fast' }),
      says: 'sqlite.storageClassName is fixed',
    },
    'a volume of snapshots grows': { from: snapshot({}), to: snapshot({ size: '3Gi' }) },
    'a volume of snapshots never shrinks': {
      from: snapshot({}),
      to: snapshot({ size: '1Gi' }),
      says: 'snapshot.size can grow but never shrink',
    },
    'the class of a volume of snapshots stays': {
      from: snapshot({ storageClassName: 'fast' }),
      to: snapshot({}),
      says: 'snapshot.storageClassName is fixed',
    },
    'the class of snapshots is free while there are none': {
      from: { swarm: { snapshot: { storageClassName: 'fast' } } },
      to: { swarm: { snapshot: { storageClassName: 'slow' } } },
    },
    'the mode changes': { from: { mode: 'Public' }, to: { mode: 'PrivateListed' } },
  };
  for (const [index, [title, { from, to, says }]] of Object.entries(cases).entries()) {
    test(title, needs('apiserver'), async () => {
      const name = `change-${index}`;
      await admin().apply(trackerObject(name, from));
      const { refusal } = await tried(trackerObject(name, to));
      if (says === undefined) assert.equal(refusal, undefined);
      else assert.ok(refusal?.includes(says), refusal ?? 'accepted');
    });
  }
});

test('a status is written apart from the spec', needs('apiserver'), async () => {
  const tracker = trackerObject('told', { mode: 'Listed' });
  await admin().apply({ ...tracker, status: { replicas: 7 } });
  const unwritten = await admin().get(tracker);
  assert.equal(unwritten?.['status'], undefined);
  const written = await admin().apply(
    { ...tracker, spec: { mode: 'Public' }, status: { replicas: 1, selector: 'a=b' } },
    { subresource: 'status' },
  );
  assert.deepEqual(written['status'], { replicas: 1, selector: 'a=b' });
  assert.equal(at(written, 'spec.mode'), 'Listed');
});

test('the scale subresource reads and writes the replicas', needs('apiserver'), async () => {
  const tracker = trackerObject('scaled', { replicas: 1 });
  await admin().apply(tracker);
  await admin().apply(
    { ...tracker, status: { replicas: 1, selector: 'app=scaled' } },
    { subresource: 'status' },
  );
  const path = `${await admin().pathOf(tracker)}/scale`;
  const { body: scale } = await admin().request('GET', path);
  const { spec, status } = scale as { spec: unknown; status: unknown }; // A Scale of autoscaling/v1.
  assert.deepEqual([spec, status], [{ replicas: 1 }, { replicas: 1, selector: 'app=scaled' }]);
  const patched = await admin().request(
    'PATCH',
    path,
    { spec: { replicas: 0 } },
    'application/merge-patch+json',
  );
  assert.equal(patched.status, 200, messageOf(patched.body));
  assert.equal(at(await admin().get(tracker), 'spec.replicas'), 0);
  const many = await admin().request(
    'PATCH',
    path,
    { spec: { replicas: 5 } },
    'application/merge-patch+json',
  );
  assert.match(messageOf(many.body), /replicas is 0 or 1/);
});

describe('takes the listeners of an apply as a whole', () => {
  const web = { name: 'web', port: 7071 };
  const cases: Record<string, { from: object; to: object; names: string[] }> = {
    'in the place of the default': { from: {}, to: { http: [web] }, names: ['web'] },
    'also when there is none any more': { from: { http: [web] }, to: { http: [] }, names: [] },
    'and has the default again when nothing is said': { from: { http: [web] }, to: {}, names: ['main'] },
  };
  for (const [title, { from, to, names }] of Object.entries(cases)) {
    test(title, needs('apiserver'), async () => {
      await admin().apply(trackerObject('listeners', from));
      const after = await admin().apply(trackerObject('listeners', to));
      const { http } = specOf(after) as { http: { name: string }[] }; // A spec with its defaults.
      assert.deepEqual(
        http.map(({ name }) => name),
        names,
      );
      await admin().delete(after);
    });
  }
});
