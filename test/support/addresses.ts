/** Addresses of peers as tests write them. */
import assert from 'node:assert/strict';
import { readIpText } from '../../tracker/protocol/ip-text.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';

/** Reads the text of an IP address. */
export function addressOf(text: string, port = 6881): PeerAddress {
  const address = new PeerAddress();
  const bytes = Buffer.from(text, 'latin1');
  assert.ok(readIpText(bytes, 0, bytes.length, address), text);
  address.port = port;
  return address;
}

/** An IPv4 address by its number, 0 for 0.0.0.0. */
export function ipv4Address(number: number): PeerAddress {
  const address = new PeerAddress();
  new DataView(address.bytes.buffer).setUint32(0, number);
  return address;
}
