/** The flood as a process: options as JSON in its argument, the results as JSON on its standard output. */
import { type FloodLoadOptions, runFloodLoad } from './flood-load.ts';

// The benchmark that starts this process passes exactly this.
const options = JSON.parse(process.argv[2] ?? '') as FloodLoadOptions;
console.log(JSON.stringify(runFloodLoad(options)));
