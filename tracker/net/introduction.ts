/**
 * For whom a proxy speaks: the PROXY protocol header in front of a connection or datagram, which is demanded of the
 * proxies that the configuration lists and refused from everybody else. One object per listener and thread.
 */
import type { Gate } from '../gate.ts';
import type { PeerAddress } from '../protocol/model.ts';
import {
  looksLikeProxyHeader,
  type ProxiedTransport,
  ProxyHeader,
  ProxyHeaderState,
  readProxyHeader,
} from '../protocol/proxy-protocol.ts';
import { Counter } from '../swarm/counters.ts';

/** What came of reading: go on behind the header, if there is one; or wait for more bytes; or answer nothing. */
export const Introduced = { done: 0, incomplete: 1, refused: 2 } as const;
export type Introduced = (typeof Introduced)[keyof typeof Introduced];

export class Introduction {
  /** Whether headers are looked for at all. */
  isOn: boolean;
  /** Where what the client sent begins, after `done`. */
  end = 0;
  readonly #gate: Gate;
  readonly #counters: Float64Array;
  readonly #transport: ProxiedTransport;
  readonly #header = new ProxyHeader();

  constructor(gate: Gate, counters: Float64Array, transport: ProxiedTransport, isOn: boolean) {
    this.#gate = gate;
    this.#counters = counters;
    this.#transport = transport;
    this.isOn = isOn;
  }

  /**
   * Reads the header at `start` of `bytes`, of which those before `end` are there, of a connection or datagram from
   * `source`. When it names a client, `source` becomes the client.
   */
  read(bytes: Uint8Array, start: number, end: number, source: PeerAddress): Introduced {
    this.end = start;
    if (!this.#gate.speaksForOthers(source)) {
      return looksLikeProxyHeader(bytes, start, end) ? this.#refuse() : Introduced.done;
    }
    const header = this.#header;
    const state = readProxyHeader(bytes, start, end, this.#transport, header);
    if (state === ProxyHeaderState.incomplete) return Introduced.incomplete;
    if (state === ProxyHeaderState.bad) return this.#refuse();
    this.end = header.end;
    if (header.namesClient) {
      source.copyAddress(header.client);
      source.port = header.client.port;
    }
    return Introduced.done;
  }

  #refuse(): Introduced {
    this.#counters[Counter.proxy_headers_refused]++;
    return Introduced.refused;
  }
}
