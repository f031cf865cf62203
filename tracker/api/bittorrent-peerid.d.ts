/** The package has no types of its own. */
declare module 'bittorrent-peerid' {
  /** Names the client of a peer id of 20 bytes; `unknown` when there is no name. */
  function parsePeerId(peerId: Buffer): { client: string; version?: string | number | null };
  export = parsePeerId;
}
