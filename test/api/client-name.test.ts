/** The names of clients by their peer ids, as Torrust Tracker shows them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientName } from '../../tracker/api/client-name.ts';

/** A peer id in characters, or in hex; filled up with letters. */
function peerIdOf(text: string): Buffer {
  return text.length === 40 ? Buffer.from(text, 'hex') : Buffer.from(text.padEnd(20, 'x'), 'latin1');
}

const names: readonly [string, string | null][] = [
  ['-qB4410-0FZ8DHIDpEy0', 'qBittorrent'],
  ['-TR072Z-zihst5yvg22f', 'Transmission'],
  ['-TR404Z-*\x00\x01d7xkqq04n', 'Transmission'],
  ['-DE211s-', 'Deluge'],
  ['-LT0D00-eZ0PwaDDr-~v', 'libtorrent (Rasterbar)'],
  ['2d6c74304232302d0d739b93e6be21febb557b20', 'libTorrent (Rakshasa) / rTorrent'],
  ['2d5554313730422d928446441db0a094a01c01e5', 'µTorrent'],
  ['2d55543334302d000971fde48c3688d2023506fc', 'µTorrent'],
  ['2d554d3135313130c964be6f15ca71ef02af2dd7', 'µTorrent Mac'],
  ['-UW110A-', 'µTorrent Web'],
  ['-AZ2200-6wfG2wk6wWLc', 'Vuze'],
  ['-BT7a5S-', 'BitTorrent'],
  ['-WW0011-Em6o1EmvwLtD', 'WebTorrent'],
  ['-WD0007-Em6o1EmvwLtD', 'WebTorrent Desktop'],
  ['-KT22B1-695754334315', 'KTorrent'],
  ['2d4b543330302d006a7139727958377731756a4b', 'KTorrent'],
  ['-BI3401-Em6o1EmvwLtD', 'BiglyBT'],
  ['-BI5701-Axxxxxxxxxxx', 'BiglyBT for Android'],
  ['2d464435315dc72d37426772646b4c3850434239', 'Free Download Manager'],
  ['2d464c3039c6f22d5f436863327a6d792e283867', 'folx'],
  ['2d4d47323111302d3234705f6436706e55673362', 'MediaGet'],
  ['-RM0100-', 'RUM Torrent'],
  ['-XL0012-', '迅雷在线 (Xunlei)'],
  ['-NX0100-', 'NetTransport'],
  ['-GS0100-', 'GS Torrent'],
  ['-ZT0100-bLAde', 'ZipTorrent'],
  ['A2-1-36-0-', 'Aria'],
  ['-aria2-1.18', 'Aria'],
  ['TIX0137-i6i6f0i5d5b7', 'Tixati'],
  ['6578626300387a4463102d6e9ad6723b339f35a9', 'BitComet'],
  ['6578626300384c4f52443200048eced57bd71028', 'BitLord'],
  ['M5-0-7--9aa757efd5be', 'Mainline'],
  ['S3-1-0-0--0123456789', 'Amazon AWS S3'],
  ['R100--003hR6s07XWcov', 'Tribler'],
  ['0000000000000000317da32f831ff041a515fe3c', null],
  ['e7f163bb0e5fcd35005c09a11bc274c42385a1a0', null],
  ['-ZZ1234-', null],
  ['00'.repeat(20), null],
];

for (const [peerId, name] of names) {
  test(`takes ${JSON.stringify(peerId)} for ${name ?? 'nobody'}`, () => {
    assert.equal(clientName(peerIdOf(peerId)), name);
  });
}

test('never fails, and never calls a client unknown or by an empty name', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 20, maxLength: 20 }), (peerId) => {
      assert.ok(!['', 'unknown'].includes(clientName(peerId) ?? 'nobody'));
    }),
  );
});
