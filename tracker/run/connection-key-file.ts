/** The keys of connection ids from the file that a configuration names; `connection-keys.ts` has their form. */
import { readFileSync } from 'node:fs';
import type { TrackerConfig } from '../config/schema.ts';
import { fileFault } from '../config/file-fault.ts';
import { ConnectionKeysError, parseConnectionKeys } from '../connection-keys.ts';
import { StartError } from '../start-error.ts';

/** Reads the keys, the signing one first; null when no file is named. Throws `StartError`, which shows no key. */
export function readConnectionKeys(config: TrackerConfig): Buffer[] | null {
  const { connection_id_keys_file: path } = config.udp_tracker_server;
  if (path === undefined) return null;
  try {
    return parseConnectionKeys(readFileSync(path, 'latin1'));
  } catch (cause) {
    const reason = cause instanceof ConnectionKeysError ? cause.message : fileFault(cause);
    throw new StartError(`The connection-id keys in ${path} can't be used: ${reason}`, {
      cause,
      isUsage: true,
    });
  }
}
