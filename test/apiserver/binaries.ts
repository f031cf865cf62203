/**
 * The programs of a real Kubernetes: which release the tests are pinned to, and where they are on this machine.
 *
 * They are looked for in the folder that KUBEBUILDER_ASSETS names, as every envtest does; then in a cache of our own,
 * which `make test-apiserver` fills (fetch-binaries.ts) and which holds exactly the pinned release; then on PATH.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findProgram, isProgram } from '../support/programs.ts';

/** The release of Kubernetes; test/apiserver/go/go.mod names the same one. */
export const KUBERNETES_VERSION = 'v1.35.4';
/** The release of Helm. */
export const HELM_VERSION = 'v4.3.1';

/** What tests against an API server use. */
export const BINARIES_FOR_APISERVER = ['kube-apiserver', 'etcd', 'kubectl'] as const;
/** What a cluster with nodes uses beside them. */
export const BINARIES_FOR_CLUSTER = [
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
] as const;

/** A program that can be found, fetched or built. */
export type BinaryName =
  (typeof BINARIES_FOR_APISERVER)[number] | (typeof BINARIES_FOR_CLUSTER)[number] | 'helm';

/** Finds a program; undefined when it is missing. */
export function findBinary(name: BinaryName): string | undefined {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const named = assets === undefined || assets === '' ? [] : [join(assets, name)];
  return [...named, join(cacheFolder(name), name)].find(isProgram) ?? findProgram(name);
}

/** Where a program is kept once it was fetched or built: a folder for each release. */
export function cacheFolder(name: BinaryName): string {
  const release = name === 'helm' ? `helm-${HELM_VERSION}` : `kubernetes-${KUBERNETES_VERSION}`;
  return join(cacheBase(), release);
}

/** The folder of everything that tests keep between their runs. */
export function cacheBase(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'torrust-tracker');
}
