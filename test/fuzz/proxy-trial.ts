/**
 * PROXY protocol headers, good, changed and missing: read by themselves, where more bytes may settle a header and never
 * change what was settled, and in front of datagrams for the UDP service, where a good one has the datagram answered as
 * its client's own, and any other has it dropped.
 */
import assert from 'node:assert/strict';
import { UdpService } from '../../tracker/net/udp-service.ts';
import type { UdpListenerSetup } from '../../tracker/net/listener.ts';
import { formatIp } from '../../tracker/protocol/ip-text.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import {
  looksLikeProxyHeader,
  type ProxiedTransport,
  ProxyHeader,
  ProxyHeaderState,
  readProxyHeader,
} from '../../tracker/protocol/proxy-protocol.ts';
import { PacketMemory } from '../../tracker/protocol/udp.ts';
import { countersOf } from '../../tracker/swarm/counters.ts';
import { addressOf } from '../support/addresses.ts';
import { headerV1, headerV2 } from '../support/proxy-headers.ts';
import { type Datagram, faultOfReply, makeDatagram } from './datagrams.ts';
import { makeTracker } from './in-process-listeners.ts';
import { mutate, type Random } from './random.ts';

const PROXY = '192.0.2.1';
const STRANGER = '198.51.100.1';
const CONFIG = {
  udp_trackers: [{ bind_address: '127.0.0.1:0' }],
  proxy_protocol: { trusted_proxies: [`${PROXY}/32`] },
};
const STORE_BYTES = 2 ** 22;
const MAX_DATAGRAM_BYTES = 1496;
const MAX_REPLY_BYTES = 1472;
const OUTPUT = 2048;
const MAX_HEADER_BYTES = 4200;
/** Around what is read. */
const MARGIN_BYTES = 8;
const PIECES = [
  '0d0a0d0a000d0a515549540a',
  '2111000c',
  '2112000c',
  '20',
  '0000',
  'ffff',
  '0d0a',
  '50524f585920',
  '50524f585920554e4b4e4f574e0d0a',
  '3132372e302e302e31',
  '3a3a31',
  '3635353336',
].map((hex) => Buffer.from(hex, 'hex'));

interface Outcome {
  readonly state: ProxyHeaderState;
  /** Where the header ends; only of a complete one. */
  readonly end: number;
  /** `''` when the header names nobody. */
  readonly client: string;
}

export class ProxyTrial {
  /** What came of datagrams. */
  readonly counts = { introduced: 0, refused: 0, changed: 0 };
  readonly #parts = makeTracker(CONFIG, STORE_BYTES);
  readonly #service: UdpService;
  readonly #memory = PacketMemory.allocate(2 * OUTPUT);
  readonly #client = new PeerAddress();

  constructor() {
    const [setup] = this.#parts.setups;
    // The configuration has one listener, and it is for UDP.
    this.#service = new UdpService(setup as UdpListenerSetup, this.#parts);
  }

  judge(random: Random): void {
    this.#judgeReading(random);
    this.#judgeDatagram(random);
  }

  #judgeReading(random: Random): void {
    const transport = random.oneIn(3) ? 'datagram' : 'stream';
    this.#chooseClient(random);
    const whole = this.#header(random, transport);
    const isChanged = !random.oneIn(3);
    const header = isChanged ? mutate(random, whole, PIECES, MAX_HEADER_BYTES) : whole;
    const found = readIn(random, header, transport);
    const { state } = found;
    const shown = () => `${transport} ${header.toString('hex')}`;
    if (!isChanged) {
      assert.deepEqual(
        found,
        { state: ProxyHeaderState.complete, end: whole.length, client: this.#text() },
        shown(),
      );
      assert.ok(looksLikeProxyHeader(header, 0, header.length));
    }
    if (state === ProxyHeaderState.complete) {
      assert.ok(found.end <= header.length, shown());
      assert.deepEqual(readIn(random, Buffer.concat([header, random.bytes(9)]), transport), found, shown());
    }
    const part = readIn(random, header.subarray(0, random.below(header.length + 1)), transport);
    if (part.state === ProxyHeaderState.complete) assert.deepEqual(part, found, shown());
    // A datagram is all there is, so that the rest of its header will not come.
    if (part.state === ProxyHeaderState.bad && transport === 'stream') assert.deepEqual(part, found, shown());
  }

  #judgeDatagram(random: Random): void {
    const { ids } = this.#parts;
    this.#chooseClient(random);
    this.#service.readClock();
    ids.issue(this.#client);
    const valid = (BigInt(ids.high) << 32n) | (BigInt(ids.low) & 0xffff_ffffn);
    const forged = valid ^ 0x1_0000_0001n;
    // Other ids deserve the same text as forged ones.
    const datagram = makeDatagram(random, { valid, forged, otherAddress: forged, expired: forged });
    const header = this.#header(random, 'datagram');
    switch (random.below(4)) {
      case 0:
        this.#expectSilence(PROXY, datagram.bytes);
        return;
      case 1:
        this.#expectSilence(STRANGER, Buffer.concat([header, datagram.bytes]));
        return;
      case 2: {
        const reply = this.#ask(
          PROXY,
          mutate(random, Buffer.concat([header, datagram.bytes]), PIECES, MAX_DATAGRAM_BYTES),
        );
        assert.ok((reply?.length ?? 0) <= MAX_REPLY_BYTES);
        this.counts.changed++;
        return;
      }
      default:
        this.#expectService(header, datagram);
    }
  }

  #expectSilence(from: string, bytes: Buffer): void {
    const refused = countersOf(this.#parts.counters).proxy_headers_refused;
    assert.equal(this.#ask(from, bytes), null, bytes.toString('hex'));
    assert.equal(countersOf(this.#parts.counters).proxy_headers_refused, refused + 1);
    this.counts.refused++;
  }

  #expectService(header: Buffer, { bytes, id }: Datagram): void {
    const read = bytes.subarray(0, MAX_DATAGRAM_BYTES - header.length);
    const reply = this.#ask(PROXY, Buffer.concat([header, read]));
    const fault = faultOfReply({ bytes: read, id }, reply, this.#client.family);
    assert.equal(
      fault,
      undefined,
      `${header.toString('hex')} ${read.toString('hex')} got ${reply?.toString('hex')}`,
    );
    this.counts.introduced++;
  }

  /** The reply to a datagram from an address; null for silence. */
  #ask(from: string, bytes: Buffer): Buffer | null {
    const source = addressOf(from);
    const input = bytes.subarray(0, MAX_DATAGRAM_BYTES);
    this.#memory.bytes.set(input);
    const length = this.#service.answer(this.#memory, 0, input.length, source, this.#memory, OUTPUT);
    return length === 0 ? null : Buffer.from(this.#memory.bytes.slice(OUTPUT, OUTPUT + length));
  }

  /** Of private addresses, which are never banned. */
  #chooseClient(random: Random): void {
    const client = this.#client;
    client.family = random.oneIn(2) ? 4 : 6;
    client.words.fill(0);
    client.bytes.set(client.family === 4 ? [10, 0, random.below(256), 1] : [0xfd, 0, random.below(256), 1]);
    client.port = 1 + random.below(65_535);
  }

  #header(random: Random, transport: ProxiedTransport): Buffer {
    const client = formatIp(this.#client);
    if (transport === 'stream' && random.oneIn(2)) return headerV1(client, this.#client.port);
    const tlvs = random.bytes(random.oneIn(3) ? random.below(100) : 0);
    return headerV2(transport, client, this.#client.port, { tlvs });
  }

  #text(): string {
    return `${formatIp(this.#client)} ${this.#client.port}`;
  }
}

/** Reads bytes in the middle of others. */
function readIn(random: Random, bytes: Buffer, transport: ProxiedTransport): Outcome {
  const header = new ProxyHeader();
  const start = random.below(MARGIN_BYTES);
  const memory = Buffer.concat([random.bytes(start), bytes, random.bytes(MARGIN_BYTES)]);
  const state = readProxyHeader(memory, start, start + bytes.length, transport, header);
  if (state !== ProxyHeaderState.complete) return { state, end: 0, client: '' };
  const client = header.namesClient ? `${formatIp(header.client)} ${header.client.port}` : '';
  return { state, end: header.end - start, client };
}
