/**
 * The floor of what a UDP tracker costs on this machine: the same batched calls, with an answer of fixed size that takes
 * no work. A process of its own; the port is its argument. It blocks in the kernel until a signal ends it.
 *
 * The answer has the action and the transaction id of the request and the length of an announce reply with 28 peers, so
 * that the load generator takes it for one.
 */
import { SO_RCVBUFFORCE, SOCK_DGRAM, SOL_SOCKET } from '../../tracker/net/native/constants.ts';
import { openLibc } from '../../tracker/net/native/libc.ts';
import { openBoundSocket, setOption } from '../../tracker/net/native/socket-address.ts';
import { DatagramBatch, MSG_WAITFORONE } from './datagram-batch.ts';

const BATCH = 64;
const REPLY_BYTES = 188;
const RECEIVE_BUFFER_BYTES = 8 * 2 ** 20;

const libc = openLibc();
if (typeof libc === 'string') throw new Error(libc);
const { fd } = openBoundSocket(
  libc,
  'The echo',
  SOCK_DGRAM,
  { host: '127.0.0.1', port: Number(process.argv[2]), family: 4 },
  { ipv6Only: false, sharesPort: false },
);
setOption(libc, fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
// A longer request is cut: its head is all that is needed. So nothing has to be set again between two batches.
const batch = new DatagramBatch(libc, BATCH, REPLY_BYTES);
const { words } = batch.memory;
for (;;) {
  const count = batch.receive(fd, MSG_WAITFORONE);
  for (let i = 0; i < count; i++) {
    const word = batch.offset(i) >> 2;
    words[word] = words[word + 2];
    words[word + 1] = words[word + 3];
  }
  batch.send(fd, count);
}
