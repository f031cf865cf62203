/** How much memory the swarm store takes when nobody says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { automaticSwarmBytes } from '../tracker/run/memory-limit.ts';

const GIB = 2 ** 30;

const cases: Record<string, { constrained: number; machine: number; bytes: number }> = {
  'half of the limit of a container': { constrained: 2 * GIB, machine: 16 * GIB, bytes: GIB },
  'half of the machine without a limit': { constrained: 0, machine: 16 * GIB, bytes: 8 * GIB },
  'half of the machine when the limit is beyond it': {
    constrained: 2 ** 63,
    machine: 16 * GIB,
    bytes: 8 * GIB,
  },
  'no less than 64 MiB': { constrained: GIB / 16, machine: 16 * GIB, bytes: GIB / 16 },
};
for (const [title, { constrained, machine, bytes }] of Object.entries(cases)) {
  test(`is ${title}`, () => assert.equal(automaticSwarmBytes(constrained, machine), bytes));
}
