/** The address that stands for clients of the tracker's own machine, where one is configured. */
import { PeerAddress } from '../protocol/model.ts';
import { readIpText } from '../protocol/ip-text.ts';

/** Reads the text of an IP address that is known to be one; null stays null. */
export function parseExternalAddress(text: string | null): PeerAddress | null {
  if (text === null) return null;
  const address = new PeerAddress();
  const bytes = Buffer.from(text, 'latin1');
  return readIpText(bytes, 0, bytes.length, address) ? address : null;
}

/** The address that others shall be told: the external one for a loopback client, when there is one. */
export function publicAddress(source: PeerAddress, external: PeerAddress | null): PeerAddress {
  return external !== null && source.isLoopback() ? external : source;
}
