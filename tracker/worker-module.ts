/** How the module of a thread is named, which no compiler rewrites: it ends as the module that starts the thread does. */
import { extname } from 'node:path';

/**
 * The URL of a module for `new Worker`: `path` is relative and without an extension, `importer` is `import.meta.url`. So it
 * is `.ts` in a checkout and `.js` where the package was compiled; .ci/image/assemble.ts looks for calls of it.
 */
export function workerModule(path: string, importer: string): URL {
  return new URL(`${path}${extname(importer)}`, importer);
}
