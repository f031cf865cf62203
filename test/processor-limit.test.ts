/** How many processors the tracker takes to be its own, in containers of every kind and in none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usableProcessors } from '../tracker/run/processor-limit.ts';

const VERSION_2 = '30 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate';
const VERSION_1 = [
  '31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
  '32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
].join('\n');
const VERSION_1_OF_HOST =
  '32 30 0:28 /kubepods/pod1/one /sys/fs/cgroup/cpu ro,nosuid master:11 - cgroup cgroup rw,cpu';

const CASES: readonly {
  readonly name: string;
  readonly groups?: string;
  readonly mounts?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly expected: number;
}[] = [
  { name: 'takes all processors where there are no control groups', expected: 8 },
  {
    name: 'takes all processors without a quota',
    groups: '0::/\n',
    mounts: VERSION_2,
    files: { '/sys/fs/cgroup/cpu.max': 'max 100000\n' },
    expected: 8,
  },
  {
    name: 'takes the quota of version 2, whole processors only',
    groups: '0::/\n',
    mounts: VERSION_2,
    files: { '/sys/fs/cgroup/cpu.max': '350000 100000\n' },
    expected: 3,
  },
  {
    name: 'takes the smaller quota of a group above',
    groups: '0::/kubepods/pod1/one\n',
    mounts: VERSION_2,
    files: {
      '/sys/fs/cgroup/kubepods/pod1/one/cpu.max': '600000 100000\n',
      '/sys/fs/cgroup/kubepods/pod1/cpu.max': '400000 100000\n',
      '/sys/fs/cgroup/kubepods/cpu.max': 'max 100000\n',
    },
    expected: 4,
  },
  {
    name: 'takes one processor for a part of one',
    groups: '0::/\n',
    mounts: VERSION_2,
    files: { '/sys/fs/cgroup/cpu.max': '20000 100000\n' },
    expected: 1,
  },
  {
    name: 'takes the quota of version 1, beside other controllers',
    groups: '12:memory:/docker/one\n4:cpu,cpuacct:/docker/one\n0::/\n',
    mounts: VERSION_1,
    files: {
      '/sys/fs/cgroup/cpu,cpuacct/docker/one/cpu.cfs_quota_us': '200000\n',
      '/sys/fs/cgroup/cpu,cpuacct/docker/one/cpu.cfs_period_us': '100000\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    },
    expected: 2,
  },
  {
    name: 'finds the group of a container that is told its path on the host',
    groups: '4:cpu:/kubepods/pod1/one\n',
    mounts: VERSION_1_OF_HOST,
    files: {
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '500000\n',
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    },
    expected: 5,
  },
  {
    name: 'takes no more than the system lets it run on',
    groups: '0::/\n',
    mounts: VERSION_2,
    files: { '/sys/fs/cgroup/cpu.max': '1600000 100000\n' },
    expected: 8,
  },
];

for (const { name, groups, mounts, files, expected } of CASES) {
  test(name, () => {
    const all: Record<string, string | undefined> = {
      ...files,
      '/proc/self/cgroup': groups,
      '/proc/self/mountinfo': mounts,
    };
    assert.equal(
      usableProcessors(8, (path) => all[path]),
      expected,
    );
  });
}

test('takes at least one processor of this machine', () => {
  assert.ok(usableProcessors() >= 1);
});
