/** The proxies of a kubeconfig are taken, and see nothing but an encrypted stream. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { resourceOf } from '../../../operator/kube/api-resource.ts';
import { KubeClient } from '../../../operator/kube/client.ts';
import { Connection } from '../../../operator/kube/connection.ts';
import { createKubeMetrics } from '../../../operator/kube/metrics.ts';
import { configMap, makeServerPair, openScriptedServer, sendJson } from './scripted-server.ts';

const CONFIG_MAPS = resourceOf({ apiVersion: 'v1', kind: 'ConfigMap' });

/** A proxy that passes on, and the targets that it was asked for. */
interface Proxy {
  readonly scheme: string;
  readonly server: Server;
  readonly targets: string[];
}

/** RFC 9110, 9.3.6. */
function createConnectProxy(): Proxy {
  const targets: string[] = [];
  const server = createHttpServer((_request, response) => void response.writeHead(400).end());
  server.on('connect', ({ url = '' }, client: Duplex) => {
    targets.push(url);
    const { hostname, port } = new URL(`tcp://${url}`);
    const target = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      joinStreams(client, target);
    });
  });
  return { scheme: 'http', server, targets };
}

/** RFC 1928, for an IPv4 address or a name and nobody's password. */
function createSocksProxy(): Proxy {
  const targets: string[] = [];
  const server = createServer((client) => {
    client.once('data', () => {
      client.write(Uint8Array.of(5, 0));
      client.once('data', (request: Buffer) => {
        const isName = request[3] === 3;
        const end = isName ? 5 + (request[4] ?? 0) : 8;
        const host = isName ? request.subarray(5, end).toString() : [...request.subarray(4, end)].join('.');
        const port = request.readUInt16BE(end);
        targets.push(`${host}:${port}`);
        const target = connect(port, host, () => {
          client.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
          joinStreams(client, target);
        });
      });
    });
  });
  return { scheme: 'socks5', server, targets };
}

function joinStreams(client: Duplex, target: Socket): void {
  client.pipe(target).pipe(client);
  client.on('error', () => target.destroy());
  target.on('error', () => client.destroy());
}

for (const create of [createConnectProxy, createSocksProxy]) {
  const { scheme, server: proxy, targets } = create();
  test(`goes through a proxy of the kind ${scheme}, with one connection for many requests`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kube-'));
    const authorityFile = join(folder, 'ca.crt');
    const { pair, authority } = await makeServerPair();
    writeFileSync(authorityFile, authority);
    const server = await openScriptedServer(({ response }) => sendJson(response, configMap('one', '5')), {
      pair,
      authorityFile,
    });
    const sockets = new Set<Socket>();
    proxy.on('connection', (socket: Socket) => sockets.add(socket));
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const connection = Connection.parse(
      server.kubeconfig.replace('"server":', `"proxy-url":"${scheme}://127.0.0.1:${port}","server":`),
    );
    const client = new KubeClient(connection, createKubeMetrics(new Registry()).client);
    try {
      const { signal } = new AbortController();
      for (let count = 0; count < 10; count += 1) {
        const found = await client.get(CONFIG_MAPS, { namespace: 'a', name: 'one' }, { signal });
        assert.deepEqual(found, configMap('one', '5'));
      }
      assert.deepEqual([...new Set(targets)], [`127.0.0.1:${server.port}`]);
      assert.ok(targets.length <= 2, `${targets.length} tunnels`);
      assert.equal(server.connections.opened, targets.length);
    } finally {
      await connection.close();
      for (const socket of sockets) socket.destroy();
      const closed = once(proxy, 'close');
      proxy.close();
      await closed;
      await server.close();
      rmSync(folder, { recursive: true });
    }
  });
}
