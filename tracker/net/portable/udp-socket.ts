/**
 * A UDP listener on `node:dgram`: the portable way to get datagrams to a `UdpService`.
 *
 * Node does not tell to which address a datagram was sent, and the kernel chooses by itself which one a reply comes from
 * when the socket has a wildcard. So a listener on a wildcard has a socket for each address of the machine as well: the
 * kernel prefers those, and a reply comes from the address that was asked. Addresses that come later are served by the
 * wildcard's own socket.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { SocketAddress } from '../../config/address.ts';
import { PeerAddress } from '../../protocol/model.ts';
import { readIpText } from '../../protocol/ip-text.ts';
import { PacketMemory } from '../../protocol/udp.ts';
import { ListenError } from '../../listen-error.ts';
import type { Listener, UdpListenerSetup } from '../listener.ts';
import { RECEIVE_BYTES, REPLY_BYTES, type UdpService } from '../udp-service.ts';

/** Opens the listener. `sharesPort`: other threads open the same port. Throws `ListenError`. */
export async function openUdpSocket(
  setup: UdpListenerSetup,
  service: UdpService,
  sharesPort: boolean,
): Promise<Listener> {
  const { bind, ipv6Only } = setup;
  const more = addressesBehind(setup);
  const listener = new PortableUdpListener(service);
  const shares = sharesPort || more.length > 0;
  const main = await listener.open(bind, ipv6Only, shares);
  const { port } = main.address();
  for (const address of more) {
    try {
      await listener.open({ ...address, port }, address.family === 6, shares);
    } catch (error) {
      // The address went in between, or may not be used: the wildcard's socket serves it, if anything does.
      if (!(error instanceof ListenError)) throw error;
    }
  }
  return {
    setup,
    address: { ...bind, port },
    receiveBufferBytes: listener.askReceiveBuffers(setup.receiveBufferBytes),
    update: (live) => {
      if ('cookieLifetimeSeconds' in live) service.update(live);
    },
    close: (graceMillis) => listener.close(graceMillis),
  };
}

class PortableUdpListener {
  readonly #service: UdpService;
  readonly #sockets: Socket[] = [];
  readonly #input = PacketMemory.allocate(RECEIVE_BYTES);
  readonly #output = PacketMemory.allocate(REPLY_BYTES);
  readonly #source = new PeerAddress();
  #pending = 0;
  #onIdle: (() => void) | null = null;

  constructor(service: UdpService) {
    this.#service = service;
  }

  /** Opens a socket and serves it. Throws `ListenError`. */
  async open(bind: SocketAddress, ipv6Only: boolean, sharesPort: boolean): Promise<Socket> {
    const socket = createSocket({
      type: bind.family === 4 ? 'udp4' : 'udp6',
      ipv6Only,
      reusePort: sharesPort,
    });
    socket.on('message', (datagram, remote) => this.#answer(socket, datagram, remote));
    try {
      socket.bind({ address: bind.host, port: bind.port });
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw ListenError.from('The UDP tracker', bind, error);
    }
    // An error of a single datagram, such as a network that is down for a moment, must not end the tracker.
    socket.on('error', () => undefined);
    this.#sockets.push(socket);
    return socket;
  }

  /** Asks for receive buffers and says what the kernel granted (it counts its own overhead: about double). */
  askReceiveBuffers(bytes: number): number {
    for (const socket of this.#sockets) {
      try {
        socket.setRecvBufferSize(bytes);
      } catch {
        // Not every kernel grants a change; what there is serves as well.
      }
    }
    return Math.min(...this.#sockets.map((socket) => socket.getRecvBufferSize()));
  }

  async close(graceMillis: number): Promise<void> {
    for (const socket of this.#sockets) socket.removeAllListeners('message');
    if (this.#pending > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
        setTimeout(resolve, graceMillis).unref();
      });
    }
    await Promise.all(
      this.#sockets.map((socket) => {
        const closed = once(socket, 'close');
        socket.close();
        return closed;
      }),
    );
  }

  #answer(socket: Socket, datagram: Buffer, remote: RemoteInfo): void {
    const source = this.#source;
    const output = this.#output;
    if (!readSource(remote, source)) return;
    const length = Math.min(datagram.length, RECEIVE_BYTES);
    this.#input.bytes.set(length === datagram.length ? datagram : datagram.subarray(0, length));
    this.#service.readClock();
    const replyBytes = this.#service.answer(this.#input, 0, length, source, output, 0);
    if (replyBytes === 0) return;
    const { family } = source;
    this.#pending++;
    // The socket sends later, when `output` may hold another reply already.
    socket.send(output.bytes.slice(0, replyBytes), remote.port, remote.address, (error) => {
      // A reply that can't be sent is lost, as a datagram may be.
      if (error === null) this.#service.countSent(family);
      this.#pending--;
      if (this.#pending === 0) this.#onIdle?.();
    });
  }
}

/** The machine's addresses that a wildcard stands for; none for any other address, or where there is but one. */
function addressesBehind({ bind, ipv6Only }: UdpListenerSetup): Omit<SocketAddress, 'port'>[] {
  if (!/^[0:.]*$/.test(bind.host)) return [];
  const families = bind.family === 4 ? ['IPv4'] : ipv6Only ? ['IPv6'] : ['IPv4', 'IPv6'];
  const all = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((each) => !each.internal && families.includes(each.family))
    // A link-local address is asked by neighbours alone, for whom the kernel has no other to answer from.
    .filter((each) => each.family === 'IPv4' || each.scopeid === 0);
  if (all.length < 2) return [];
  return all.map(({ address, family }) => ({ host: address, family: family === 'IPv4' ? 4 : 6 }));
}

function readSource(remote: RemoteInfo, source: PeerAddress): boolean {
  // A link-local address carries its zone, which is no part of what peers are told.
  const zone = remote.address.indexOf('%');
  const text = Buffer.from(zone < 0 ? remote.address : remote.address.slice(0, zone), 'latin1');
  source.port = remote.port;
  return readIpText(text, 0, text.length, source);
}
