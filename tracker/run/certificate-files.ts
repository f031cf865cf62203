/**
 * Certificates and keys from their files, judged before anything uses them: a pair that is half-written or does not
 * belong together must never reach a server that runs.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { fileFault } from '../config/file-fault.ts';
import type { TlsPair } from '../net/listener.ts';
import { StartError } from '../start-error.ts';

const OPENSSL_REASONS: ReadonlyMap<string, string> = new Map([
  ['ERR_OSSL_PEM_NO_START_LINE', 'the file has no certificate in PEM form'],
  ['ERR_OSSL_UNSUPPORTED', 'the file has no private key in PEM form'],
  ['ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED', 'it is encrypted; the tracker needs one without a passphrase'],
]);

/** The files of a pair, as the configuration names them. */
export interface TlsFiles {
  readonly ssl_cert_path: string;
  readonly ssl_key_path: string;
}

/** Reads the certificates of authorities, for `user`, as an error names it. Throws `StartError`. */
export function readAuthorities(user: string, path: string): string {
  const text = readPemFile(user, path);
  judge(`${user} can't use the certificate in ${path}`, () => new X509Certificate(text));
  return text;
}

/** Reads a certificate and its key, which together make a server, for `user`, as an error names it. Throws `StartError`. */
export function readTlsPair(user: string, { ssl_cert_path, ssl_key_path }: TlsFiles): TlsPair {
  const pair = { certificate: readPemFile(user, ssl_cert_path), key: readPemFile(user, ssl_key_path) };
  const badCertificate = `${user} can't use the certificate in ${ssl_cert_path}`;
  const certificate = judge(badCertificate, () => new X509Certificate(pair.certificate));
  const key = judge(`${user} can't use the key in ${ssl_key_path}`, () => createPrivateKey(pair.key));
  if (!certificate.checkPrivateKey(key)) {
    throw new StartError(`${badCertificate}: it does not belong to the key in ${ssl_key_path}`, {
      isUsage: true,
    });
  }
  // The certificates after the first, and what OpenSSL asks of all of them.
  judge(badCertificate, () => createSecureContext({ cert: pair.certificate, key: pair.key }));
  return pair;
}

function readPemFile(user: string, path: string): string {
  return judge(`${user} can't read ${path}`, () => readFileSync(path, 'utf8'));
}

function judge<Result>(complaint: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw new StartError(`${complaint}: ${reasonOf(cause)}`, { cause, isUsage: true });
  }
}

/** One line: texts of OpenSSL may have several, and its commonest ones say nothing to people. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  if ('syscall' in error) return fileFault(error);
  return OPENSSL_REASONS.get(code) ?? error.message.replace(/\s+/g, ' ');
}
