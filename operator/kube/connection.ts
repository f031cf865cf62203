/**
 * The way to the API server: address and credentials as `kubectl` finds them, or as a pod has them, over connections that
 * are shared by all requests.
 *
 * The client library makes a new TLS connection for every request and negotiates HTTP/2, over which a server that is gone
 * is noticed late. Here requests share one pool, watches another, and the lease has one for itself, all HTTP/1.1, and all are
 * replaced when the files of the authority, the certificate or the key have changed. Tokens are read anew by the library, at most a minute late.
 */
import type { AgentOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import {
  type Cluster,
  type DispatcherOptions,
  HttpMethod,
  KubeConfig,
  RequestContext,
} from '@kubernetes/client-node';
import { type buildConnector, type Dispatcher, Pool, ProxyAgent, Socks5ProxyAgent } from 'undici';
import { ConnectionError } from './kube-error.ts';

/** What a connection is for: requests that end soon, watches that stay, or the lease, which waits behind nothing else. */
export type Purpose = 'request' | 'watch' | 'lease';

/** Where to send a request, and what to send along. */
export interface Access {
  readonly dispatcher: Dispatcher;
  readonly headers: Readonly<Record<string, string>>;
}

/** Requests at a time; others wait. */
const MAX_CONNECTIONS = 16;
/** Shorter than the 90 s after which an API server closes an idle connection, longer than the pauses of the lease. */
const IDLE_MILLIS = 30_000;
/** A peer that is gone is noticed after this and ten probes of a second. */
const PROBE_AFTER_MILLIS = 30_000;
const CONNECT_MILLIS = 10_000;
/** What the library makes up when there is nothing to be found, with the address http://localhost:8080. */
const MADE_UP_CONTEXT = 'loaded-context';

type Pools = Readonly<Record<Purpose, Dispatcher>>;

/** The library's configuration, with the pools in the place of an agent for each request. */
class PooledKubeConfig extends KubeConfig {
  #tls: DispatcherOptions | undefined;
  #wanted: DispatcherOptions | undefined;
  #pools: Pools | undefined;
  readonly #open = new Set<Dispatcher>();
  #isClosed = false;

  /** Tells the library to make no agent, and remembers what it would have made. */
  override createDispatcherOptions(cluster: Cluster | null, agentOptions: AgentOptions): DispatcherOptions {
    this.#wanted = super.createDispatcherOptions(cluster, agentOptions);
    return { type: 'none' };
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    const { origin } = new URL(context.getUrl());
    await super.applySecurityAuthentication(context);
    if (this.#isClosed) throw new Error('the connection is closed');
    if (this.#pools === undefined || !isDeepStrictEqual(this.#wanted, this.#tls)) this.#replacePools(origin);
  }

  /** The pool for a purpose, as of the last `applySecurityAuthentication`. */
  poolFor(purpose: Purpose): Dispatcher | undefined {
    return this.#pools?.[purpose];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#open].map((pool) => pool.destroy()));
  }

  #replacePools(origin: string): void {
    const former = Object.values(this.#pools ?? {});
    this.#tls = this.#wanted;
    const wanted = this.#tls ?? { type: 'none' as const };
    this.#pools = {
      request: openPool(origin, wanted, MAX_CONNECTIONS),
      watch: openPool(origin, wanted, null),
      lease: openPool(origin, wanted, 1),
    };
    for (const pool of Object.values(this.#pools)) this.#open.add(pool);
    // What runs over the old connections may end there.
    for (const pool of former) {
      const forget = () => this.#open.delete(pool);
      pool.close().then(forget, forget);
    }
  }
}

function openPool(origin: string, wanted: DispatcherOptions, connections: number | null): Dispatcher {
  const pool = {
    connections,
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: IDLE_MILLIS,
    // Every call has a deadline of its own, and a watch has its watchdog.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
  const tcp = {
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER_MILLIS,
    timeout: CONNECT_MILLIS,
    allowH2: false,
  };
  switch (wanted.type) {
    case 'none':
      return new Pool(origin, { ...pool, connect: tcp });
    case 'agent':
      return new Pool(origin, { ...pool, connect: { ...tlsOf(wanted.connect), ...tcp } });
    case 'proxy':
      return new ProxyAgent({
        ...pool,
        uri: wanted.uri,
        connect: tcp,
        requestTls: { ...tlsOf(wanted.requestTls), allowH2: false },
      });
    case 'socks':
      return new Socks5ProxyAgent(wanted.uri, {
        ...pool,
        requestTls: { ...tlsOf(wanted.requestTls), allowH2: false },
      });
  }
}

function tlsOf(options: ConnectionOptions): buildConnector.BuildOptions {
  // The library sets authorities, certificates and the server's name, and no field on which the two types differ.
  return options as buildConnector.BuildOptions;
}

/** The way to one API server. */
export class Connection {
  /** With the path of a proxy before it, and no slash at its end. */
  readonly server: URL;
  /** The namespace of the context or of the pod; undefined when it has none. */
  readonly namespace: string | undefined;
  readonly #config: PooledKubeConfig;

  /** `config` has a current cluster. */
  private constructor(config: PooledKubeConfig, server: string) {
    this.#config = config;
    this.server = new URL(server.replace(/\/+$/, ''));
    this.namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  }

  /**
   * Reads where the API server is: `KUBECONFIG`, `~/.kube/config`, or the service account of a pod; `context` is another
   * than the current one. Sends nothing. Throws `ConnectionError`.
   */
  static load(context?: string): Connection {
    return Connection.#read(context, (config) => config.loadFromDefault());
  }

  /** The same from the text of a kubeconfig. */
  static parse(kubeconfig: string, context?: string): Connection {
    return Connection.#read(context, (config) => config.loadFromString(kubeconfig));
  }

  static #read(context: string | undefined, load: (config: KubeConfig) => void): Connection {
    const config = new PooledKubeConfig();
    try {
      load(config);
    } catch (error) {
      throw new ConnectionError('credentials', `the kubeconfig cannot be read${because(error)}`, error);
    }
    if (context !== undefined) config.setCurrentContext(context);
    const { server } = config.getCurrentCluster() ?? {};
    if (server === undefined || config.getCurrentContext() === MADE_UP_CONTEXT) {
      const what = context === undefined ? 'no cluster is configured' : `there is no context "${context}"`;
      throw new ConnectionError('credentials', `${what}: set KUBECONFIG, or run inside a cluster`);
    }
    return new Connection(config, server);
  }

  /** What one request needs, from files as they are now. Rejects with `ConnectionError`. */
  async access(purpose: Purpose): Promise<Access> {
    const context = new RequestContext(this.server.href, HttpMethod.GET);
    try {
      await this.#config.applySecurityAuthentication(context);
    } catch (error) {
      throw new ConnectionError('credentials', `the credentials cannot be read${because(error)}`, error);
    }
    const dispatcher = this.#config.poolFor(purpose);
    if (dispatcher === undefined) throw new ConnectionError('credentials', 'the connection is closed');
    const headers = Object.entries(context.getHeaders()).map(([name, value]) => [name, value.trim()]);
    return { dispatcher, headers: Object.fromEntries(headers) as Record<string, string> };
  }

  /** Cuts everything that is under way. */
  async close(): Promise<void> {
    await this.#config.close();
  }
}

/** What the system says, with the path of the file. Errors of a parser are left out: they quote what stands in it. */
function because(error: unknown): string {
  return error instanceof Error && 'code' in error ? `: ${error.message}` : '';
}
