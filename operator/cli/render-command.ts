/**
 * `torrust-operator render`: what resources would become, without a cluster. Every optional API is taken to be there, and
 * in the place of generated secrets stand words: no key is made that nobody uses.
 */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parseAllDocuments, stringify } from 'yaml';
import type { Problem } from '../crd/conditions.ts';
import { KIND, readTracker, type TorrustTracker } from '../crd/tracker.ts';
import { desiredObjects } from '../desired/desired.ts';
import { readDashboards } from '../dashboards.ts';
import { type Environment, NOTHING_OBSERVED, oneVersionEach, OPTIONAL_APIS } from '../desired/environment.ts';
import type { Material, SecretOrder } from '../desired/generated-secrets.ts';
import type { KubernetesObject } from '../desired/kubernetes-object.ts';
import { valueAt } from '../json-path.ts';
import { defaultTrackerImage } from '../tracker-image.ts';
import { ExitCode, UsageError } from './usage-error.ts';

interface RenderOptions {
  readonly filename: string;
  readonly namespace: string;
  readonly defaultTrackerImage: string;
  readonly ipv6: boolean;
}

const GENERATED = '(generated)';

export function addRenderCommand(program: Command): void {
  program
    .command('render')
    .description(
      'Print the objects that trackers would become, without a cluster. Generated secrets are left out.',
    )
    .requiredOption('-f, --filename <file>', 'resources in YAML; - for standard input')
    .option('-n, --namespace <name>', 'the namespace of resources that name none', 'default')
    .option('--default-tracker-image <image>', 'the image of trackers that name none', defaultTrackerImage())
    .option('--no-ipv6', 'for a cluster without IPv6')
    .action(render);
}

function render({ filename, namespace, defaultTrackerImage: defaultImage, ipv6 }: RenderOptions): void {
  const environment: Environment = {
    defaultImage,
    operatorNamespace: undefined,
    apis: oneVersionEach(new Set(OPTIONAL_APIS)),
    ipFamilies: ipv6 ? [4, 6] : [4],
    clusterRanges: [],
    nodes: [],
    dashboards: readDashboards(),
    now: new Date(),
  };
  for (const tracker of readTrackers(filename, namespace)) {
    const { orders } = desiredObjects(tracker, environment, NOTHING_OBSERVED);
    const materials = new Map(orders.map((order) => [order.name, placeholder(order)]));
    const { objects, problems } = desiredObjects(tracker, environment, NOTHING_OBSERVED, materials);
    for (const object of objects)
      process.stdout.write(`---\n${stringify(withoutSecrets(object), { lineWidth: 0 })}`);
    report(tracker, problems);
  }
}

function readTrackers(filename: string, namespace: string): TorrustTracker[] {
  return parse(filename)
    .filter((resource) => valueAt(resource, 'kind') === KIND)
    .map((resource) => {
      const read = readTracker(resource);
      if (read.kind === 'refused') throw new UsageError(`${filename}: ${read.problems.join('\n')}`);
      const { metadata } = read.tracker;
      const isNamed = valueAt(resource, 'metadata', 'namespace') !== undefined;
      return {
        ...read.tracker,
        metadata: { ...metadata, namespace: isNamed ? metadata.namespace : namespace },
      };
    });
}

function parse(filename: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(filename === '-' ? 0 : filename, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${filename} can not be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const documents = parseAllDocuments(text);
  return documents.map((document) => {
    const [mistake] = document.errors;
    if (mistake !== undefined) throw new UsageError(`${filename}: ${mistake.message}`);
    return document.toJS() as unknown;
  });
}

function placeholder({ kind }: SecretOrder): Material {
  switch (kind) {
    case 'token':
      return { kind: 'token', token: GENERATED };
    case 'connection_key':
      return { kind: 'connection_key', id: 'generated', hex: '0'.repeat(32) };
    case 'authority':
    case 'certificate':
      return { kind: 'pair', certificate: GENERATED, key: GENERATED };
  }
}

/** A Secret with words in the place of its values. */
function withoutSecrets(object: KubernetesObject): KubernetesObject {
  if (object.kind !== 'Secret') return object;
  const { data, ...rest } = object;
  const stringData = Object.fromEntries(Object.keys(data ?? {}).map((key) => [key, GENERATED]));
  return { ...rest, stringData };
}

/** Problems go to stderr, so that what is printed stays a list of objects. Secrets of users are not known here. */
function report({ metadata: { name } }: TorrustTracker, problems: readonly Problem[]): void {
  for (const { condition, reason, message } of problems) {
    if (reason === 'SecretMissing' || reason === 'CertificatePending') continue;
    process.stderr.write(`${name}: ${condition}: ${message}\n`);
    process.exitCode = ExitCode.failed;
  }
}
