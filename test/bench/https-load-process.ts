/** The HTTPS load as a process: options as JSON in its argument, the result as JSON on its standard output. */
import { type HttpsLoadOptions, runHttpsLoad } from './https-load.ts';

// The benchmark that starts this process passes exactly this.
const options = JSON.parse(process.argv[2] ?? '') as HttpsLoadOptions;
console.log(JSON.stringify(await runHttpsLoad(options)));
