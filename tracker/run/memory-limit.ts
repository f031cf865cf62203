/** The memory that the swarm store may take when the configuration leaves it to the tracker. */
import { totalmem } from 'node:os';

const MIN_BYTES = 64 * 2 ** 20;

/** Half of what the container may use, else half of the machine; never less than 64 MiB. */
export function automaticSwarmBytes(
  constrainedBytes: number = process.constrainedMemory(),
  machineBytes: number = totalmem(),
): number {
  // Without a limit the kernel names a number beyond all memory, or none.
  const isLimited = constrainedBytes > 0 && constrainedBytes < machineBytes;
  return Math.max(MIN_BYTES, Math.floor((isLimited ? constrainedBytes : machineBytes) / 2));
}
