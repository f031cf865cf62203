/** Which versions of TLS a server speaks, asked by clients that speak one alone. */
import { once } from 'node:events';
import { connect, type SecureVersion } from 'node:tls';

/** OpenSSL has TLS 1.1 only at this level. */
export const OLD_CIPHERS = 'DEFAULT@SECLEVEL=0';

/** The version that a client speaks with a server when it can speak none but this. Rejects when they have none in common. */
export async function versionOf(port: number, version: SecureVersion): Promise<string | null> {
  const only = { minVersion: version, maxVersion: version, rejectUnauthorized: false, ciphers: OLD_CIPHERS };
  const socket = connect({ host: '127.0.0.1', port, ...only });
  try {
    await once(socket, 'secureConnect');
    return socket.getProtocol();
  } finally {
    socket.destroy();
  }
}

/** The alert `protocol_version` (RFC 8446, 6.2): the server has no such version, rather than no cipher for it. */
export function isRefusedVersion(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION';
}
