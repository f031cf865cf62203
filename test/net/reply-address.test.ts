/**
 * Replies come from the address that was asked, on a machine with several: clients that look, such as libtorrent, drop
 * any other. The machine is a network namespace, the tracker and the client are real programs.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createNetwork } from '../support/netns.ts';
import { needs } from '../support/parts.ts';
import { temporaryFolder, writeConfig } from '../support/tracker-process.ts';
import { waitFor } from '../support/waiting.ts';
import { forEachSocketPath } from './tracker-threads.ts';

const COMMAND = join(import.meta.dirname, '../../tracker/cli/main.ts');
const OTHER = '198.51.100.101';
const OTHER_IPV6 = '2001:db8:0:1::2';

describe('A UDP tracker on every address of a machine with several', needs('netns'), () => {
  forEachSocketPath((sockets) => {
    test(`answers each client from the address that it asked (${sockets} sockets)`, async (context) => {
      const network = await createNetwork({ clients: 1, ipv6: true });
      context.after(() => network.close());
      const { tracker, clients } = network;
      const [client] = clients;
      const add = (address: string, ...rest: string[]) =>
        tracker.run('ip', ['address', 'add', address, 'dev', 'eth0', ...rest]);
      await add(`${OTHER}/32`);
      await add(`${OTHER_IPV6}/128`, 'nodad');
      const config = writeConfig(temporaryFolder(context), {
        udp_trackers: [{ bind_address: '0.0.0.0:6969' }, { bind_address: '[::]:6970' }],
        network: { sockets, workers: 2, receive_buffer_bytes: 2 ** 20 },
      });
      const running = tracker.spawn(process.execPath, [COMMAND, 'run', '--config', config], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let log = '';
      running.stdout?.setEncoding('utf8').on('data', (text: string) => (log += text));
      await waitFor('the tracker', () => log.includes('HEALTH CHECK API: Started on'));

      const asked = [`${tracker.ipv4}:6969`, `${OTHER}:6969`, `${OTHER}:6970`, `[${OTHER_IPV6}]:6970`];
      await Promise.all(
        asked.map(async (authority) => {
          // The probe's socket is connected, so that the kernel drops what comes from elsewhere.
          const url = `udp://${authority}/announce`;
          assert.match(await client.run(process.execPath, [COMMAND, 'probe', url]), /announce/, authority);
        }),
      );
    });
  });
});
