/** The HTTP load as a process: options as JSON in its argument, the result as JSON on its standard output. */
import { type HttpLoadOptions, runHttpLoad } from './http-load.ts';

// The benchmark that starts this process passes exactly this.
const options = JSON.parse(process.argv[2] ?? '') as HttpLoadOptions;
console.log(JSON.stringify(runHttpLoad(options)));
