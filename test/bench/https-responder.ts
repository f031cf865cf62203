/**
 * The floor of HTTPS on Node.js: `node:https` with a fixed answer of the length of an announce reply with 30 peers. A
 * process of its own; its arguments are the port and the folder with the certificate. A signal ends it.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';

const REPLY = Buffer.alloc(280, 'x');

const [, , port, folder = ''] = process.argv;
const options = {
  cert: readFileSync(join(folder, 'cert.pem')),
  key: readFileSync(join(folder, 'key.pem')),
};
createServer(options, (_, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': REPLY.length });
  response.end(REPLY);
}).listen(Number(port), '127.0.0.1');
