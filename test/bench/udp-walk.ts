/**
 * The walk of UDP announces through the service, in this thread and without sockets: what the tracker does with a datagram,
 * and nothing of what the kernel does. `traces-process.ts` loads this module once for each variant that it compares, so
 * that none of them runs in code that was optimized for another.
 */
import { REPLY_BYTES, UdpService, type UdpServices } from '../../tracker/net/udp-service.ts';
import type { UdpListenerSetup } from '../../tracker/net/listener.ts';
import type { PeerAddress } from '../../tracker/protocol/model.ts';
import { PacketMemory } from '../../tracker/protocol/udp.ts';

/** An announce as it comes, without options (BEP 15), in a place of a size that is a multiple of four. */
export const ANNOUNCE_BYTES = 98;
const PLACE_BYTES = 100;
/** As many datagrams as a socket hands on at a time. */
const BATCH = 64;

/** Datagrams that wait to be answered: bytes in places of the same size, and where each came from. */
export interface Datagrams {
  readonly memory: PacketMemory;
  readonly sources: PeerAddress[];
}

/** Room for so many announces. */
export function datagrams(count: number): Datagrams {
  return {
    memory: new PacketMemory(new ArrayBuffer(count * PLACE_BYTES), 0, count * PLACE_BYTES),
    sources: [],
  };
}

/** Where an announce begins. */
export function placeOf(index: number): number {
  return index * PLACE_BYTES;
}

/** Makes a service, and returns what lets it answer datagrams in batches and returns the bytes of its replies. */
export function openWalk(setup: UdpListenerSetup, services: UdpServices): (input: Datagrams) => number {
  const service = new UdpService(setup, services);
  const output = new PacketMemory(new ArrayBuffer(BATCH * REPLY_BYTES), 0, BATCH * REPLY_BYTES);
  return ({ memory, sources }) => {
    let bytes = 0;
    for (let first = 0; first < sources.length; first += BATCH) {
      service.readClock();
      const end = Math.min(first + BATCH, sources.length);
      for (let i = first; i < end; i++) {
        const at = (i - first) * REPLY_BYTES;
        bytes += service.answer(memory, placeOf(i), ANNOUNCE_BYTES, sources[i], output, at);
      }
    }
    return bytes;
  };
}
