/** PROXY protocol headers as a load balancer writes them. */
import { addressOf } from './addresses.ts';

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

export interface HeaderV2 {
  /** 0: the proxy itself (`LOCAL`); 1: somebody else (`PROXY`). */
  readonly command?: number;
  /** Instead of the family and transport of the address. */
  readonly kind?: number;
  /** What follows the addresses. */
  readonly tlvs?: Uint8Array;
}

/** A header of version 2 for a client; both addresses are the client's. */
export function headerV2(
  transport: 'stream' | 'datagram',
  client: string,
  port: number,
  { command = 1, kind, tlvs = new Uint8Array(0) }: HeaderV2 = {},
): Buffer {
  const isIpv4 = !client.includes(':');
  // A mapped address keeps its sixteen bytes.
  const mapped = /^::ffff:([0-9.]+)$/.exec(client)?.[1];
  const { bytes } = addressOf(mapped ?? client);
  const address = isIpv4
    ? bytes.subarray(0, 4)
    : mapped === undefined
      ? bytes
      : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), bytes.subarray(0, 4)]);
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(port, 0);
  ports.writeUInt16BE(7070, 2);
  const body = Buffer.concat([address, address, ports, tlvs]);
  const head = Buffer.alloc(4);
  head[0] = 0x20 | command;
  head[1] = kind ?? (isIpv4 ? 0x10 : 0x20) | (transport === 'stream' ? 1 : 2);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([SIGNATURE, head, body]);
}

/** A header of version 1 for a client. */
export function headerV1(client: string, port: number): Buffer {
  const family = client.includes(':') ? 'TCP6' : 'TCP4';
  return Buffer.from(`PROXY ${family} ${client} ${client} ${port} 7070\r\n`, 'latin1');
}
