/**
 * The CustomResourceDefinitions of the APIs that a cluster may have and the operator can use, as their projects publish
 * them inside Go modules. They are pinned and kept in the cache, as the programs are (binaries.ts).
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';
import { cacheBase } from './binaries.ts';
import type { NamedObject } from './client.ts';

/** A module, and the files that are taken from it. */
export interface DefinitionModule {
  readonly module: string;
  readonly version: string;
  /** As in go.sum. */
  readonly sum: string;
  readonly files: readonly string[];
}

/** Where the definitions come from. The experimental ones of the Gateway API serve UDPRoute as v1 and as v1alpha2. */
export const DEFINITION_MODULES: readonly DefinitionModule[] = [
  {
    module: 'sigs.k8s.io/gateway-api',
    version: 'v1.6.3',
    sum: 'h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=',
    files: [
      'config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml',
      'config/crd/experimental/gateway.networking.k8s.io_udproutes.yaml',
    ],
  },
  {
    module: 'github.com/cert-manager/cert-manager',
    version: 'v1.21.2',
    sum: 'h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=',
    files: ['deploy/crds/cert-manager.io_certificates.yaml'],
  },
  {
    module: 'github.com/prometheus-operator/prometheus-operator',
    version: 'v0.85.0',
    sum: 'h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=',
    files: [
      'example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml',
      'example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml',
    ],
  },
];

/** Where a file of a module is kept. */
export function definitionFile({ module, version }: DefinitionModule, file: string): string {
  return join(cacheBase(), 'definitions', `${basename(module)}-${version}`, basename(file));
}

/** Why the definitions can't be used; undefined when they can. */
export function definitionsObstacle(): string | undefined {
  const missing = DEFINITION_MODULES.find((module) =>
    module.files.some((file) => !existsSync(definitionFile(module, file))),
  );
  return missing === undefined ? undefined : `no files of ${missing.module}`;
}

/** All of them, ready to be installed. */
export function readDefinitions(): NamedObject[] {
  return DEFINITION_MODULES.flatMap((module) =>
    module.files.map((file) => {
      // A CustomResourceDefinition of its project, checked by the server that it is applied to.
      const definition = parse(readFileSync(definitionFile(module, file), 'utf8')) as NamedObject;
      const { status: _, ...wanted } = definition;
      return wanted;
    }),
  );
}
