/** What the operator's chart installs for who watches: dashboards in two forms, rules, and whom to scrape. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { DASHBOARDS } from '../../charts/monitoring/generate.ts';
import type { NamedObject } from '../apiserver/client.ts';
import { at } from '../operator/environments.ts';
import { needs } from '../support/parts.ts';
import { chartFolder, labelsAt, only, RELEASE, render } from './rendering.ts';

const CHART = 'torrust-tracker-operator';
const KINDS = ['ServiceMonitor', 'PrometheusRule', 'ConfigMap', 'GrafanaDashboard'];
/** The API server takes no larger object; a client-side apply keeps it twice. */
const LARGEST_BYTES = 1_000_000;

function contentOf(path: string): string {
  return readFileSync(join(chartFolder(CHART), path), 'utf8');
}

function nameOf(object: NamedObject): string {
  return String(at(object, 'metadata.name'));
}

/** The dashboards that are there as objects of a kind, by the names of their files. */
function dashboardObjects(objects: readonly NamedObject[], kind: string): Map<string, NamedObject> {
  const found = objects.filter((object) => object.kind === kind);
  return new Map(found.map((object) => [`${nameOf(object).slice(RELEASE.name.length + 1)}.json`, object]));
}

test(
  'nothing of it is installed unasked, since clusters without Prometheus know none of it',
  needs('helm'),
  async () => {
    const objects = await render(CHART);
    assert.deepEqual(
      objects.filter(({ kind }) => KINDS.includes(kind)),
      [],
    );
  },
);

describe('every dashboard is installed whole', () => {
  test("as a ConfigMap that Grafana's sidecar looks for", needs('helm'), async () => {
    const dashboards = { enabled: true, annotations: { grafana_folder: 'Torrents' } };
    const objects = await render(CHART, { dashboards });
    const maps = dashboardObjects(objects, 'ConfigMap');
    assert.deepEqual([...maps.keys()].toSorted(), Object.keys(DASHBOARDS).toSorted());
    for (const [file, map] of maps) {
      assert.equal(labelsAt(map, 'metadata.labels').get('grafana_dashboard'), '1');
      assert.deepEqual(at(map, 'metadata.annotations'), { grafana_folder: 'Torrents' });
      assert.equal(at(map, 'metadata.namespace'), RELEASE.namespace);
      assert.deepEqual(at(map, 'data'), { [file]: contentOf(`dashboards/${file}`) });
      assert.ok(JSON.stringify(map).length < LARGEST_BYTES, file);
    }
    assert.equal(dashboardObjects(objects, 'GrafanaDashboard').size, 0);
  });

  test(
    'as a GrafanaDashboard for the Grafana operator, and then as nothing else',
    needs('helm'),
    async () => {
      const instanceSelector = { matchLabels: { grafana: 'ours' } };
      const dashboards = { enabled: true, grafanaOperator: { enabled: true, instanceSelector } };
      const objects = await render(CHART, { dashboards });
      const found = dashboardObjects(objects, 'GrafanaDashboard');
      assert.deepEqual([...found.keys()].toSorted(), Object.keys(DASHBOARDS).toSorted());
      for (const [file, dashboard] of found) {
        assert.equal(dashboard.apiVersion, 'grafana.integreatly.org/v1beta1');
        const { matchLabels } = at(dashboard, 'spec.instanceSelector') as typeof instanceSelector;
        assert.equal(matchLabels.grafana, 'ours');
        assert.equal(at(dashboard, 'spec.json'), contentOf(`dashboards/${file}`));
      }
      assert.equal(dashboardObjects(objects, 'ConfigMap').size, 0);
    },
  );
});

test(
  'rules are installed as they are, with the labels that a Prometheus looks for',
  needs('helm'),
  async () => {
    const objects = await render(CHART, { rules: { enabled: true, labels: { release: 'prometheus' } } });
    for (const name of ['torrust-tracker', 'torrust-operator']) {
      const rule = only(objects, 'PrometheusRule', `${RELEASE.name}-${name}`);
      assert.equal(labelsAt(rule, 'metadata.labels').get('release'), 'prometheus');
      assert.deepEqual(at(rule, 'spec'), parse(contentOf(`rules/${name}.yaml`)));
    }
  },
);

test('the ServiceMonitor finds the Service of the operator, and its port', needs('helm'), async () => {
  const objects = await render(CHART, { serviceMonitor: { enabled: true } });
  const monitor = only(objects, 'ServiceMonitor');
  const service = only(objects, 'Service');
  const labels = labelsAt(service, 'metadata.labels');
  for (const [name, value] of labelsAt(monitor, 'spec.selector.matchLabels')) {
    assert.equal(labels.get(name), value, name);
  }
  // A Service is made of these.
  const ports = at(service, 'spec.ports') as readonly { readonly name: string }[];
  assert.ok(ports.some(({ name }) => name === at(monitor, 'spec.endpoints.0.port')));
});
