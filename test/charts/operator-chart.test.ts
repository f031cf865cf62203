/**
 * The operator's chart as Helm renders it: what is installed for which values, and which values are refused.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Command } from 'commander';
import { chartFiles } from '../../operator/chart-files.ts';
import { addRunCommand } from '../../operator/cli/run-command.ts';
import { addSelftestCommand } from '../../operator/cli/selftest-command.ts';
import { OPERATOR_NAME } from '../../operator/desired/identity.ts';
import { PERMISSIONS } from '../../operator/permissions.ts';
import type { NamedObject } from '../apiserver/client.ts';
import { trackerDefinitionObject } from '../apiserver/trackers.ts';
import { at } from '../operator/environments.ts';
import { needs } from '../support/parts.ts';
import { helm, labelsAt, only, render, renderText, textsAt } from './rendering.ts';
import { OPERATOR_VALUES } from './values.ts';

const CHART = 'torrust-tracker-operator';

describe('generated files are current (node operator/chart-files.ts --write)', () => {
  for (const { path, text } of chartFiles()) {
    test(path, () => {
      assert.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text);
    });
  }
});

describe('lint finds nothing with', () => {
  for (const [title, values] of Object.entries(OPERATOR_VALUES)) {
    test(title, needs('helm'), async () => {
      const { code, stdout, stderr } = await helm(['lint', '--strict'], CHART, values);
      assert.equal(code, 0, stdout + stderr);
    });
  }
});

describe('values are refused', () => {
  const cases: Record<string, { values: object; says: RegExp }> = {
    'that nobody knows': { values: { replica: 1 }, says: /replica/ },
    'that nobody knows, below': { values: { crds: { enable: true } }, says: /enable/ },
    'such as a digest that is none': { values: { image: { digest: 'latest' } }, says: /digest/ },
    'such as a level of logs that is none': { values: { log: { level: 'loud' } }, says: /level/ },
    'such as a namespace that can not be': { values: { namespaces: ['Team A'] }, says: /namespaces/ },
  };
  for (const [title, { values, says }] of Object.entries(cases)) {
    test(title, needs('helm'), async () => {
      const { code, stderr } = await helm(['template', 'x'], CHART, values);
      assert.equal(code, 1);
      assert.match(stderr, says);
    });
  }
});

test('without values two operators run, hardened and by a lease', needs('helm'), async () => {
  const objects = await render(CHART);
  const deployment = only(objects, 'Deployment');
  assert.equal(at(deployment, 'spec.replicas'), 2);
  const pod = at(deployment, 'spec.template.spec');
  assert.deepEqual(at(pod, 'securityContext'), {
    runAsNonRoot: true,
    runAsUser: 65532,
    runAsGroup: 65532,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  const container = at(pod, 'containers.0');
  assert.deepEqual(at(container, 'securityContext'), {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  assert.equal(at(container, 'livenessProbe.httpGet.path'), '/healthz');
  assert.equal(at(container, 'readinessProbe.httpGet.path'), '/readyz');
  assert.notEqual(at(container, 'resources.limits.memory'), undefined);
  assert.deepEqual(at(container, 'args'), [
    'run',
    '--default-tracker-image=ghcr.io/torrust/tracker-kubernetes:0.1.0',
    '--log-level=info',
  ]);
  assert.equal(at(only(objects, 'PodDisruptionBudget'), 'spec.maxUnavailable'), 1);
});

test("trackers' network policies know the operator's pods", needs('helm'), async () => {
  const labels = labelsAt(only(await render(CHART), 'Deployment'), 'spec.template.metadata.labels');
  assert.equal(labels.get('app.kubernetes.io/name'), OPERATOR_NAME);
});

test('the pod of the test is none of the Service and of the Deployment', needs('helm'), async () => {
  const objects = await render(CHART);
  const selector = labelsAt(only(objects, 'Deployment'), 'spec.selector.matchLabels');
  assert.deepEqual(selector, labelsAt(only(objects, 'Service'), 'spec.selector'));
  const labels = labelsAt(only(objects, 'Pod'), 'metadata.labels');
  assert.ok([...selector].some(([name, value]) => labels.get(name) !== value));
});

test('a digest wins, and the tag stays to be read', needs('helm'), async () => {
  const objects = await render(CHART, OPERATOR_VALUES['images by digest, from elsewhere']);
  const container = at(only(objects, 'Deployment'), 'spec.template.spec.containers.0');
  assert.match(
    String(at(container, 'image')),
    /^registry\.example:5000\/operator:0\.1\.0@sha256:[0-9a-f]{64}$/,
  );
  assert.match(
    String(at(container, 'args.1')),
    /^--default-tracker-image=registry\.example:5000\/tracker:1\.2\.3@sha256:[0-9a-f]{64}$/,
  );
});

describe('the operator takes the arguments that it is given for', () => {
  for (const [title, values] of Object.entries(OPERATOR_VALUES)) {
    test(title, needs('helm'), async () => {
      const objects = await render(CHART, values);
      const lists = [
        textsAt(only(objects, 'Deployment'), 'spec.template.spec.containers.0.args'),
        textsAt(only(objects, 'Pod'), 'spec.containers.0.args'),
      ];
      for (const args of lists) {
        const program = new Command('torrust-operator').exitOverride();
        addRunCommand(program);
        addSelftestCommand(program);
        const called: string[] = [];
        for (const command of program.commands) {
          command.exitOverride().action(() => void called.push(command.name()));
        }
        await program.parseAsync(args, { from: 'user' });
        assert.deepEqual(called, [args[0]]);
      }
    });
  }
});

describe('the definition', () => {
  test('is that of crds/, and stays when the release goes', needs('helm'), async () => {
    const { metadata, ...more } = only(await render(CHART), 'CustomResourceDefinition');
    const { metadata: shipped, ...wanted } = trackerDefinitionObject();
    assert.deepEqual(more, wanted);
    assert.equal(metadata.name, shipped.name);
    assert.deepEqual(at(metadata, 'annotations'), { 'helm.sh/resource-policy': 'keep' });
  });
  test('goes with the release, or is left to others, on demand', needs('helm'), async () => {
    const going = only(await render(CHART, { crds: { keep: false } }), 'CustomResourceDefinition');
    assert.equal(at(going, 'metadata.annotations'), undefined);
    const objects = await render(CHART, { crds: { enabled: false } });
    assert.equal(
      objects.some(({ kind }) => kind === 'CustomResourceDefinition'),
      false,
    );
  });
});

describe('the rights', () => {
  /** The rules of a role, as the table of permissions writes them. */
  function rulesOf(role: NamedObject): unknown {
    // The rules of a role, which the API server takes (install.test.ts).
    return (role['rules'] as { apiGroups: string[]; resources: string[]; verbs: string[] }[]).map(
      ({ apiGroups, resources, verbs }) => [...apiGroups, resources, verbs],
    );
  }
  const table = (...scopes: string[]) =>
    scopes.flatMap((scope) =>
      PERMISSIONS.filter((permission) => permission.scope === scope).map(({ group, resources, verbs }) => [
        group,
        resources,
        verbs,
      ]),
    );
  const clusterRole = (objects: NamedObject[]) =>
    only(objects, 'ClusterRole', 'torrust-operator-torrust-system');

  test('are those of the table, everywhere', needs('helm'), async () => {
    const objects = await render(CHART);
    assert.deepEqual(rulesOf(clusterRole(objects)), table('watched', 'cluster'));
    const own = only(objects, 'Role', 'torrust-operator-own');
    assert.equal(own.metadata.namespace, 'torrust-system');
    assert.deepEqual(rulesOf(own), table('own'));
  });

  test('end at the namespaces that were given', needs('helm'), async () => {
    const objects = await render(CHART, { namespaces: ['team-a', 'team-b'] });
    assert.deepEqual(rulesOf(clusterRole(objects)), table('cluster'));
    for (const namespace of ['team-a', 'team-b']) {
      const roles = objects.filter(
        ({ kind, metadata }) =>
          kind === 'Role' && metadata.namespace === namespace && !metadata.name.endsWith('selftest'),
      );
      assert.deepEqual(roles.map(rulesOf), [table('watched')]);
    }
    const args = textsAt(only(objects, 'Deployment'), 'spec.template.spec.containers.0.args');
    assert.ok(args.includes('--namespaces=team-a,team-b'));
  });

  test('need nothing of the whole cluster where that is not wanted', needs('helm'), async () => {
    const objects = await render(
      CHART,
      OPERATOR_VALUES['chosen namespaces, and no right on anything of the whole cluster'],
    );
    assert.deepEqual(
      objects.filter(({ kind }) => kind.startsWith('Cluster') || kind === 'CustomResourceDefinition'),
      [],
    );
  });

  test('name what they are for: no wildcard, whatever the values', needs('helm'), async () => {
    for (const values of Object.values(OPERATOR_VALUES)) {
      const roles = (await render(CHART, values)).filter(({ kind }) => kind.endsWith('Role'));
      for (const role of roles) assert.doesNotMatch(JSON.stringify(role['rules']), /\*/);
    }
  });
});

test('the notes tell what comes next, and warn', needs('helm'), async () => {
  const { stdout } = await helm(
    ['install', 'x', '--dry-run=client'],
    CHART,
    OPERATOR_VALUES['a machine of one'],
  );
  assert.match(stdout, /kubectl wait --for=condition=Ready/);
  assert.match(stdout, /uninstalling this release deletes the CustomResourceDefinition/);
});

test('what is rendered is the same every time', needs('helm'), async () => {
  assert.equal(await renderText(CHART), await renderText(CHART));
});
