/**
 * What a machine lacks for the cluster, one sentence each.
 */
import { BINARIES_FOR_APISERVER, BINARIES_FOR_CLUSTER, findBinary } from '../apiserver/binaries.ts';
import { PARTS } from '../support/parts.ts';
import { findProgram } from '../support/programs.ts';

/** Everything that is missing; empty when the cluster can be brought up. */
export function findObstacles(): string[] {
  if (process.platform !== 'linux') return ['nodes are made of namespaces of Linux'];
  if (process.getuid?.() !== 0) return ['it makes network interfaces and mounts: run it as root'];
  const part = PARTS.find(({ name }) => name === 'nodes');
  const programs = (part?.programs ?? []).filter((name) => findProgram(name) === undefined);
  const binaries = [...BINARIES_FOR_APISERVER, ...BINARIES_FOR_CLUSTER, 'helm' as const].filter(
    (name) => findBinary(name) === undefined,
  );
  return [
    ...programs.map((name) => `no program ${name}; apt-get install ${part?.packages.join(' ')} brings it`),
    ...binaries.map((name) => `no ${name}; node test/apiserver/fetch-binaries.ts --cluster brings it`),
  ];
}
