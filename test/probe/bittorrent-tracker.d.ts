/** What the tests use of the npm package bittorrent-tracker, which has no types of its own. */
declare module 'bittorrent-tracker' {
  import { EventEmitter } from 'node:events';
  import type { AddressInfo } from 'node:net';

  interface Options {
    readonly http?: boolean;
    readonly udp?: boolean;
    readonly ws?: boolean;
    readonly stats?: boolean;
    /** Milliseconds. */
    readonly interval?: number;
    readonly filter?: (infoHash: string, params: object, callback: (error: Error | null) => void) => void;
  }

  interface Listener {
    address(): AddressInfo;
  }

  export class Server {
    constructor(options: Options);
    readonly http: Listener;
    readonly udp4: Listener;
    readonly udp6: Listener;
    /** Swarms by info hash in hexadecimal; `complete` and `incomplete` count the peers that are in them. */
    readonly torrents: Record<string, { readonly complete: number; readonly incomplete: number } | undefined>;
    listen(port: number, hostname: string | Record<string, string>, onListening: () => void): void;
    close(onClosed: (error: Error | null) => void): void;
    on(event: 'start' | 'update' | 'stop' | 'complete', listener: (address: string) => void): this;
    on(event: 'error' | 'warning', listener: (error: Error) => void): this;
  }

  interface ClientOptions {
    readonly infoHash: Uint8Array;
    readonly peerId: Uint8Array;
    readonly announce: readonly string[];
    readonly port: number;
    readonly wrtc: false;
  }

  export interface Update {
    readonly complete: number;
    readonly incomplete: number;
  }

  export class Client extends EventEmitter {
    constructor(options: ClientOptions);
    start(options: { readonly left: number }): void;
    complete(): void;
    stop(): void;
    scrape(): void;
    destroy(onDone: () => void): void;
    on(event: 'update', listener: (update: Update) => void): this;
    on(event: 'scrape', listener: (scrape: Update & { readonly downloaded: number }) => void): this;
    /** `address:port`. */
    on(event: 'peer', listener: (peer: string) => void): this;
    on(event: 'error' | 'warning', listener: (error: Error) => void): this;
  }
}
