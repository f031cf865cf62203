/**
 * What `npm pack` and `npm publish` run: before, the commands are compiled to JavaScript beside their sources, since Node.js
 * strips no types below node_modules; after, that is removed. In a checkout, where both may be, the sources are run.
 *
 *     node .ci/package.ts compile|clean
 */
import { globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compileCommands, ROOT } from './compile.ts';

/** Removes every compiled file that lies beside its source. */
function clean(): void {
  for (const source of globSync('{tracker,operator}/**/*.ts', { cwd: ROOT })) {
    rmSync(join(ROOT, source.replace(/\.ts$/, '.js')), { force: true });
  }
}

const [wish] = process.argv.slice(2);
if (wish !== 'compile' && wish !== 'clean') throw new Error('say compile or clean');
clean();
if (wish === 'compile') compileCommands();
