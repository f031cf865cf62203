#!/usr/bin/env node
/** The shim that npm links as the command: the entry is TypeScript in a checkout and JavaScript in the npm archive. */
import { existsSync } from 'node:fs';

const [major] = process.versions.node.split('.');
if (Number(major) < 24) {
  process.stderr.write(`error: torrust-tracker needs Node.js 24 or newer, this is ${process.version}\n`);
  process.exit(2);
}
const source = new URL('./main.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('./main.js', import.meta.url).href);
