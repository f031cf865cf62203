/** The version of this package, which is that of the operator and of the tracker that it runs by default. */
import { readFileSync } from 'node:fs';

/** Reads it from package.json. */
export function readVersion(): string {
  // The file is this package's own, whose version npm requires to be a text.
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
