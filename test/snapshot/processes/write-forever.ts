/** Replaces the snapshot at a path again and again until it is killed: `write-forever.ts PATH PEERS`. */
import { replaceSnapshot } from '../../../tracker/run/snapshot-file.ts';
import { snapshotOf } from '../../swarm/snapshot-bytes.ts';
import { filledStore } from '../swarm-content.ts';

const [path, peers] = process.argv.slice(2);
const bytes = snapshotOf(filledStore(Number(peers)));
console.log('begins');
for (;;) {
  replaceSnapshot(
    path,
    (write) => {
      for (let at = 0; at < bytes.length; at += 65_536) write(bytes.subarray(at, at + 65_536));
      return true;
    },
    () => undefined,
  );
}
