/**
 * The commands `make cluster` and `make cluster-down`: a Kubernetes of two nodes on this machine, with the images of this
 * checkout, the operator, and a tracker; and the end of all of it. As root on Linux.
 */
import { join } from 'node:path';
import { findProgram } from '../support/programs.ts';
import { closeCluster, isClusterUp, openCluster } from './cluster.ts';
import { applyMinimalTracker, installOperator, kubectl } from './install.ts';
import { FOLDER, KUBECONFIG } from './layout.ts';
import { takeLock } from './lock.ts';
import { findObstacles } from './obstacles.ts';

const started = performance.now();

function tell(sentence: string): void {
  console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s  ${sentence}`);
}

async function up(): Promise<void> {
  if (!isClusterUp()) {
    await openCluster(tell);
    await installOperator(FOLDER);
    tell('the operator is installed');
  }
  await applyMinimalTracker(FOLDER);
  tell('the tracker is ready');
  await printTour();
}

async function printTour(): Promise<void> {
  const address = (service: string) =>
    kubectl(FOLDER, ['get', 'service', service, '--output=jsonpath={.spec.clusterIP}']);
  const udp = `udp://${await address('public-udp')}:6969/announce`;
  const probe = `node_modules/.bin/node ${join('tracker', 'cli', 'main.ts')} probe`;
  const withKubectl =
    findProgram('kubectl') === undefined ? '  (kubectl is in the cache of `make cluster`)' : '';
  console.log(`
A Kubernetes of two nodes runs, with the operator and a tracker.
  UDP tracker    ${udp}
  HTTP tracker   http://${await address('public-http')}:7070/announce
  REST API       http://${await address('public-api')}:1212

Try next:${withKubectl}
  export KUBECONFIG=${KUBECONFIG}
  kubectl get torrusttrackers,pods,services
  kubectl describe torrusttracker public
  ${probe} ${udp}

Everything is below ${FOLDER}. \`make cluster-down\` takes it away.
`);
}

async function main(): Promise<void> {
  takeLock();
  if (process.argv[2] === 'down') {
    await closeCluster();
    tell('the cluster is gone: no process, mount, interface, control group or file of it is left');
    return;
  }
  const obstacles = findObstacles();
  for (const obstacle of obstacles) console.error(`make cluster: ${obstacle}`);
  if (obstacles.length > 0) process.exitCode = 1;
  else await up();
}

await main();
