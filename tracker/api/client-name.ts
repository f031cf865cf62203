/**
 * The name of the BitTorrent client that a peer id gives away (BEP 20), without its version. The names are those that
 * Torrust Tracker shows; the table behind most of them is that of the bittorrent-peerid package.
 */
import parsePeerId from 'bittorrent-peerid';

/** What Torrust calls otherwise than the package. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['libTorrent (Rakshasa) / rTorrent*', 'libTorrent (Rakshasa) / rTorrent'],
  ['Net Transport', 'NetTransport'],
  ['GSTorrent', 'GS Torrent'],
  ['HTTP Seed', 'HTTPSeed'],
  ['Unknown [Fake: ZipTorrent]', 'ZipTorrent'],
  ['BitComet (Solidox Mod)', 'BitComet'],
  ['BitComet (Mod 2)', 'BitComet'],
]);

/** Prefixes that the package does not know, or knows for fewer versions. */
const PREFIXES: readonly (readonly [prefix: RegExp, name: string])[] = [
  [/^-BI....-A/s, 'BiglyBT for Android'],
  [/^-BI....-/s, 'BiglyBT'],
  [/^-FD....-/s, 'Free Download Manager'],
  [/^-MG....-/s, 'MediaGet'],
  [/^-RM....-/s, 'RUM Torrent'],
  [/^A2-\d/, 'Aria'],
];

/** The client's name; null when nothing is known of the peer id, which has 20 bytes. */
export function clientName(peerId: Uint8Array): string | null {
  const bytes = Buffer.from(peerId);
  const text = bytes.toString('latin1');
  const known = PREFIXES.find(([prefix]) => prefix.test(text));
  if (known !== undefined) return known[1];
  const { client } = parsePeerId(bytes);
  return client === 'unknown' ? null : (RENAMED.get(client) ?? client);
}
