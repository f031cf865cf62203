/** An HTTPS tracker and old versions of TLS, which the settings of Node.js and of OpenSSL may allow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTrackerProcess } from '../support/tracker-process.ts';
import { isRefusedVersion, OLD_CIPHERS, versionOf } from '../support/tls-versions.ts';

/** Of a key that older versions know. */
const PEM = new URL('../probe/fixtures/self-signed.pem', import.meta.url).pathname;

test('An HTTPS tracker speaks no TLS below 1.2, whatever Node.js was told', async (context) => {
  const tracker = await startTrackerProcess(
    context,
    {
      http_trackers: [{ bind_address: '127.0.0.1:0', tls_config: { ssl_cert_path: PEM, ssl_key_path: PEM } }],
    },
    { env: { NODE_OPTIONS: `--tls-min-v1.0 --tls-cipher-list=${OLD_CIPHERS}` } },
  );
  const [{ port }] = tracker.http;
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    await assert.rejects(versionOf(port, version), isRefusedVersion);
  }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    assert.equal(await versionOf(port, version), version);
  }
});
