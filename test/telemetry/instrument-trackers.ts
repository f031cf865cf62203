/** What the trackers of the tests of instruments have in common. */
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { selfSigned } from '../api/certificates.ts';
import type { TrackerProcess } from '../support/tracker-process.ts';

const TOKEN = 'a-token-of-the-test';
export const ANY = { bind_address: '127.0.0.1:0' };
export const API = { ...ANY, access_tokens: { admin: TOKEN } };

/** A new TLS pair in files of a folder, as the configuration names them, and when its certificate ends. */
export interface WrittenPair {
  readonly paths: { readonly ssl_cert_path: string; readonly ssl_key_path: string };
  readonly expirySeconds: number;
}

export function writePair(folder: string, name: string, days = 1): WrittenPair {
  const { cert, key } = selfSigned('tracker.example', days);
  const [ssl_cert_path, ssl_key_path] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  writeFileSync(ssl_cert_path, cert);
  writeFileSync(ssl_key_path, key);
  const expirySeconds = new X509Certificate(cert).validToDate.getTime() / 1000;
  return { paths: { ssl_cert_path, ssl_key_path }, expirySeconds };
}

/** Asks the REST API of a tracker; resolves with the status. */
export async function ask(
  tracker: TrackerProcess,
  method: string,
  path: string,
  body?: object,
): Promise<number> {
  const { status } = await fetch(`${tracker.api}/api/v1/${path}?token=${TOKEN}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  return status;
}
