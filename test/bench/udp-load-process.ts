/** The UDP load as a process: options as JSON in its argument, the result as JSON on its standard output. */
import { runUdpLoad, type UdpLoadOptions } from './udp-load.ts';

// The benchmark that starts this process passes exactly this.
const options = JSON.parse(process.argv[2] ?? '') as UdpLoadOptions;
console.log(JSON.stringify(runUdpLoad(options)));
