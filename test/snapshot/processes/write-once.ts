/** Replaces the snapshot at a path by one of so many peers: `write-once.ts PATH PEERS`. Prints what came of it. */
import { replaceSnapshot, SnapshotFileError } from '../../../tracker/run/snapshot-file.ts';
import { snapshotOf } from '../../swarm/snapshot-bytes.ts';
import { filledStore } from '../swarm-content.ts';

const [path, peers] = process.argv.slice(2);
const bytes = snapshotOf(filledStore(Number(peers)));
try {
  const written = replaceSnapshot(
    path,
    (write) => {
      write(bytes);
      return true;
    },
    (news) => console.log(news.kind === 'aside' ? `aside ${news.reason}` : news.kind),
  );
  console.log(written);
} catch (error) {
  if (!(error instanceof SnapshotFileError)) throw error;
  console.log(`${error.code}: ${error.message}`);
}
