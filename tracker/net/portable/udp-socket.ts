/** A UDP listener on `node:dgram`: the portable way to get datagrams to a `UdpService`. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
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
  const { bind } = setup;
  const socket = createSocket({
    type: bind.family === 4 ? 'udp4' : 'udp6',
    ipv6Only: setup.ipv6Only,
    reusePort: sharesPort,
  });
  const input = PacketMemory.allocate(RECEIVE_BYTES);
  const output = PacketMemory.allocate(REPLY_BYTES);
  const source = new PeerAddress();
  let pending = 0;
  let onIdle: (() => void) | null = null;

  socket.on('message', (datagram, remote) => {
    if (!readSource(remote, source)) return;
    const length = Math.min(datagram.length, RECEIVE_BYTES);
    input.bytes.set(length === datagram.length ? datagram : datagram.subarray(0, length));
    service.readClock();
    const replyBytes = service.answer(input, 0, length, source, output, 0);
    if (replyBytes === 0) return;
    const { family } = source;
    pending++;
    // The socket sends later, when `output` may hold another reply already.
    socket.send(output.bytes.slice(0, replyBytes), remote.port, remote.address, (error) => {
      // A reply that can't be sent is lost, as a datagram may be.
      if (error === null) service.countSent(family);
      pending--;
      if (pending === 0) onIdle?.();
    });
  });

  try {
    socket.bind({ address: bind.host, port: bind.port });
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw ListenError.from('The UDP tracker', bind, error);
  }
  // An error of a single datagram, such as a network that is down for a moment, must not end the tracker.
  socket.on('error', () => undefined);
  return {
    setup,
    address: { ...bind, port: socket.address().port },
    receiveBufferBytes: askReceiveBuffer(socket, setup.receiveBufferBytes),
    update: (live) => {
      if ('cookieLifetimeSeconds' in live) service.update(live);
    },
    close: async (graceMillis) => {
      socket.removeAllListeners('message');
      if (pending > 0) {
        await new Promise<void>((resolve) => {
          onIdle = resolve;
          setTimeout(resolve, graceMillis).unref();
        });
      }
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

/** Asks for a receive buffer and says what the kernel granted (it counts its own overhead: about double). */
function askReceiveBuffer(socket: Socket, bytes: number): number {
  try {
    socket.setRecvBufferSize(bytes);
  } catch {
    // Not every kernel grants a change; what there is serves as well.
  }
  return socket.getRecvBufferSize();
}

function readSource(remote: RemoteInfo, source: PeerAddress): boolean {
  // A link-local address carries its zone, which is no part of what peers are told.
  const zone = remote.address.indexOf('%');
  const text = Buffer.from(zone < 0 ? remote.address : remote.address.slice(0, zone), 'latin1');
  source.port = remote.port;
  return readIpText(text, 0, text.length, source);
}
