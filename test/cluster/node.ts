/**
 * A node: containerd, kubelet and kube-proxy in a sandbox.
 * https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { waitFor } from '../support/waiting.ts';
import { cgroupName, createCgroups } from './cgroups.ts';
import { binaryPath, kubeconfigOf } from './control-plane.ts';
import { PAUSE_IMAGE } from './images.ts';
import { FOLDER, type NodePlace, POD_RANGE } from './layout.ts';
import { programPath, runIn, type Sandbox, startDaemon } from './sandbox.ts';

/** Where Debian's package has the programs that connect pods. */
const CNI_PROGRAMS = '/usr/lib/cni';

/** Starts containerd and waits until it answers. */
export async function startContainerd(sandbox: Sandbox, node: NodePlace): Promise<void> {
  const folder = folderOf(node);
  mkdirSync(join(folder, 'cni'), { recursive: true });
  writeFileSync(join(folder, 'cni/10-bridge.conflist'), JSON.stringify(cniConfig(node)));
  writeFileSync(join(folder, 'containerd.toml'), containerdConfig(node));
  startDaemon(sandbox, 'containerd', programPath('containerd'), [
    '--config',
    join(folder, 'containerd.toml'),
  ]);
  await waitFor(
    `containerd of ${node.name}`,
    async () =>
      existsSync(socketOf(node)) && (await ctr(sandbox, node, ['version']).then(Boolean, () => false)),
  );
}

/** Gives a node an image from an archive. */
export async function loadImage(sandbox: Sandbox, node: NodePlace, archive: string): Promise<void> {
  await ctr(sandbox, node, ['images', 'import', archive]);
}

/** Starts what makes a node of the sandbox: containerd has to run and to have the image of pauses. */
export function startKubelet(sandbox: Sandbox, node: NodePlace): void {
  const folder = folderOf(node);
  createCgroups(node.name);
  writeFileSync(join(folder, 'kubelet.yaml'), stringify(kubeletConfig(node)));
  writeFileSync(join(folder, 'kube-proxy.yaml'), stringify(proxyConfig(node)));
  startDaemon(sandbox, 'kubelet', binaryPath('kubelet'), [
    `--config=${join(folder, 'kubelet.yaml')}`,
    `--kubeconfig=${kubeconfigOf(node.name)}`,
    `--root-dir=${join(folder, 'kubelet')}`,
    `--hostname-override=${node.name}`,
    `--node-ip=${node.address}`,
  ]);
  startDaemon(sandbox, 'kube-proxy', binaryPath('kube-proxy'), [
    `--config=${join(folder, 'kube-proxy.yaml')}`,
  ]);
}

async function ctr(sandbox: Sandbox, node: NodePlace, args: readonly string[]): Promise<string> {
  return runIn(sandbox, programPath('ctr'), ['--address', socketOf(node), '--namespace', 'k8s.io', ...args]);
}

function folderOf(node: NodePlace): string {
  return join(FOLDER, node.name);
}

function socketOf(node: NodePlace): string {
  return join(folderOf(node), 'containerd.sock');
}

function containerdConfig(node: NodePlace): string {
  const folder = folderOf(node);
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"
[grpc]
address = "${socketOf(node)}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
# A machine in a container may lack the right to protect one process more than another.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "${CNI_PROGRAMS}"
conf_dir = "${folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
`;
}

function cniConfig(node: NodePlace): object {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods',
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: node.podRange }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function kubeletConfig(node: NodePlace): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    // The fabric leads to nobody but this machine.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: `unix://${socketOf(node)}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroupName(node.name)}`,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    podLogsDir: join(folderOf(node), 'pod-logs'),
    resolvConf: '',
    podCIDR: node.podRange,
    // Nothing brings an image back that was thrown away for its room.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    // As soon as a changed Secret or ConfigMap is known it is mounted.
    syncFrequency: '10s',
    featureGates: { KubeletInUserNamespace: true },
  };
}

function proxyConfig(node: NodePlace): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: kubeconfigOf('proxy') },
    hostnameOverride: node.name,
    mode: 'iptables',
    clusterCIDR: POD_RANGE,
    // The machine's own tables stay as large as they are.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
