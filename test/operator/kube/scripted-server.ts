/**
 * An API server that does what a test tells it, faults included: a real HTTP server, plain or with TLS, whose answers are
 * written by the test, and which remembers what it was asked.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { makeMaterials, type Pair } from '../../../operator/key-material.ts';
import type { KubeObject } from '../../../operator/kube/kube-object.ts';

/** A request that came. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** Read from JSON; undefined when there was none. */
  readonly body: unknown;
  /** `1.1`, or `2.0`. */
  readonly httpVersion: string;
  /** The serial number of the certificate that the client showed; undefined for none. */
  readonly clientSerial: string | undefined;
  readonly response: ServerResponse;
}

/** What answers. */
export type Script = (request: SeenRequest) => void | Promise<void>;

export interface ScriptedServer {
  readonly kubeconfig: string;
  readonly port: number;
  /** Every request, in the order of their ends. */
  readonly requests: readonly SeenRequest[];
  /** Connections that were opened since the start, and those that are open. */
  readonly connections: { opened: number; readonly open: ReadonlySet<Socket> };
  /** Those of `requests` that began a watch. */
  watches(): SeenRequest[];
  /** Those of `requests` that asked for a list. */
  lists(): SeenRequest[];
  /** Answers from now on. */
  answer(script: Script): void;
  /** Cuts all connections at once, as a crash would. */
  cut(): void;
  close(): Promise<void>;
}

/** Opens a server on loopback. With `tls` it speaks HTTP/2 as well, as a real one does. */
export async function openScriptedServer(script: Script, tls?: ServerTls): Promise<ScriptedServer> {
  const requests: SeenRequest[] = [];
  const connections = { opened: 0, open: new Set<Socket>() };
  let current = script;
  const listener = (incoming: IncomingMessage, response: ServerResponse) => {
    answerOne(incoming, response).catch((error: unknown) => {
      // A request whose client went away is no concern of the script.
      if (!incoming.destroyed && !response.destroyed)
        console.error('the script of the API server threw', error);
      response.destroy();
    });
  };
  const answerOne = async (incoming: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? '', 'http://server');
    const text = Buffer.concat(chunks).toString();
    const request = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
      httpVersion: incoming.httpVersion,
      clientSerial:
        incoming.socket instanceof TLSSocket
          ? incoming.socket.getPeerX509Certificate()?.serialNumber
          : undefined,
      response,
    };
    requests.push(request);
    await current(request);
  };
  const server: Server =
    tls === undefined
      ? createServer({ keepAliveTimeout: 60_000 }, listener)
      : // The compatibility layer of HTTP/2 gives requests and responses of the same shape.
        (createSecureServer(
          {
            allowHTTP1: true,
            cert: tls.pair.certificate,
            key: tls.pair.key,
            // Whoever it is, the test looks at what was shown.
            requestCert: tls.clientFiles !== undefined,
            rejectUnauthorized: false,
          },
          listener as never,
        ) as unknown as Server);
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    connections.opened += 1;
    connections.open.add(socket);
    socket.once('close', () => connections.open.delete(socket));
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = () => {
    for (const socket of connections.open) socket.destroy();
  };
  return {
    kubeconfig: kubeconfigFor(port, tls),
    port,
    requests,
    connections,
    watches: () => requests.filter(({ query }) => query.get('watch') === '1'),
    lists: () => requests.filter(({ method, query }) => method === 'GET' && query.get('watch') !== '1'),
    answer: (next) => {
      current = next;
    },
    cut,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}

/** The pair of a server with TLS, and how its clients know it. */
export interface ServerTls {
  readonly pair: Pair;
  /** The path of the authority's certificate. */
  readonly authorityFile: string;
  readonly tokenFile?: string;
  /** Who connects shows this pair, which is in files; no token is sent then. */
  readonly clientFiles?: { readonly certificate: string; readonly key: string };
}

function kubeconfigFor(port: number, tls: ServerTls | undefined): string {
  const user = tls?.clientFiles
    ? { 'client-certificate': tls.clientFiles.certificate, 'client-key': tls.clientFiles.key }
    : tls?.tokenFile
      ? { 'auth-provider': { name: 'tokenFile', config: { tokenFile: tls.tokenFile } } }
      : { token: 'secret-token' };
  const cluster =
    tls === undefined
      ? { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true }
      : { server: `https://127.0.0.1:${port}`, 'certificate-authority': tls.authorityFile };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'scripted', cluster }],
    users: [{ name: 'someone', user }],
    contexts: [{ name: 'here', context: { cluster: 'scripted', user: 'someone', namespace: 'own' } }],
    'current-context': 'here',
  });
}

/** A certificate for 127.0.0.1 and the authority behind it. */
export async function makeServerPair(): Promise<{ pair: Pair; authority: string }> {
  const orders = [
    { kind: 'authority', name: 'authority', commonName: 'test', days: 1 },
    {
      kind: 'certificate',
      name: 'server',
      authority: 'authority',
      dnsNames: [],
      ipAddresses: ['127.0.0.1'],
      days: 1,
    },
  ] as const;
  const materials = await makeMaterials(orders, new Map(), new Date());
  const authority = materials.get('authority');
  const pair = materials.get('server');
  assert(authority?.kind === 'pair' && pair?.kind === 'pair');
  return { pair, authority: authority.certificate };
}

/** Sends a body of JSON. */
export function sendJson(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Sends a refusal as Kubernetes does. */
export function sendStatus(
  response: ServerResponse,
  code: number,
  reason: string,
  headers: Record<string, string> = {},
): void {
  sendJson(response, statusOf(code, reason), code, headers);
}

/** A refusal. */
export function statusOf(code: number, reason: string): Record<string, unknown> {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', message: `no: ${reason}`, reason, code };
}

/** A ConfigMap, the object of these tests. */
export function configMap(name: string, resourceVersion: string, namespace = 'a'): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, resourceVersion, uid: `uid-${name}` },
    data: { version: resourceVersion },
  };
}

/** Sends a list; `rest` continues it. */
export function sendList(
  response: ServerResponse,
  resourceVersion: string,
  items: readonly KubeObject[],
  rest?: string,
): void {
  // As the real one does, without the kind of each.
  const bare = items.map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item);
  const metadata = { resourceVersion, ...(rest !== undefined && { continue: rest }) };
  sendJson(response, { kind: 'List', apiVersion: 'v1', metadata, items: bare });
}

/** Accepts a watch; what it says comes by `sendEvent`. */
export function acceptWatch(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
}

/** Sends an event of a watch. */
export function sendEvent(response: ServerResponse, type: string, object: unknown): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}

/** Sends a bookmark: there is nothing new up to this version. */
export function sendBookmark(response: ServerResponse, resourceVersion: string): void {
  const metadata = { resourceVersion, creationTimestamp: null };
  sendEvent(response, 'BOOKMARK', { apiVersion: 'v1', kind: 'ConfigMap', metadata });
}
