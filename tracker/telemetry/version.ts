/** The version of this package, as the log, the metrics and `--version` tell it. */
import { readFileSync } from 'node:fs';

/** Reads the version from `package.json`, which lies two folders above this file, in a checkout and in an archive. */
export function readVersion(): string {
  // The file is this package's own, whose version npm requires to be a text.
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
