/** What a process has used, all of its threads together, from `/proc` (proc(5)). */
import { readFileSync } from 'node:fs';

/** The kernel counts processor time in hundredths of a second, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Processor time of a process, user and system, in seconds. */
export function readCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name, in parentheses, may hold anything; the fields behind it are numbers, `utime` and `stime` 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory of a process in bytes. */
export function readResidentBytes(pid: number): number {
  return readStatusBytes(pid, 'VmRSS');
}

/** The most resident memory that a process has ever had, in bytes. */
export function readPeakResidentBytes(pid: number): number {
  return readStatusBytes(pid, 'VmHWM');
}

function readStatusBytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
}

/** Datagrams that the kernel dropped for the IPv4 sockets on a local port, since they were opened. */
export function readUdpDrops(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/udp', 'latin1').trim().split('\n').slice(1);
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1].endsWith(local))
    .reduce((sum, fields) => sum + Number(fields.at(-1)), 0);
}
