/**
 * The operator as one file for `kubectl apply --server-side -f`, for those without Helm: what the chart renders by itself,
 * behind a namespace. `node test/charts/bundle.ts --write` writes it anew; a test holds it current.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RELEASE, renderText } from './rendering.ts';

/** Where it is. */
export const BUNDLE_FILE = join(import.meta.dirname, '../../charts/torrust-tracker-operator.yaml');

const HEAD = `# The operator, its rights and the definition of its resource, written by test/charts/bundle.ts from the chart:
#   kubectl apply --server-side -f torrust-tracker-operator.yaml
apiVersion: v1
kind: Namespace
metadata:
  name: ${RELEASE.namespace}
  labels:
    pod-security.kubernetes.io/enforce: restricted
`;

/** Its text. Rejects with helm's complaint. */
export async function renderBundle(): Promise<string> {
  const rendered = await renderText('torrust-tracker-operator', {}, ['--no-hooks', '--skip-tests']);
  // Nothing that this file installs is ever managed by Helm.
  const kept = rendered
    .split('\n')
    .filter((line) => !/^\s*(helm\.sh\/chart|# Source):/.test(line))
    .map((line) => line.replace(/managed-by: Helm$/, 'managed-by: kubectl'));
  return HEAD + kept.join('\n');
}

if (import.meta.main) {
  const text = await renderBundle();
  if (process.argv.includes('--write')) writeFileSync(BUNDLE_FILE, text);
  else process.stdout.write(text);
}
