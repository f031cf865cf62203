/** The routes of torrents: `GET /torrent/{info_hash}` and `GET /torrents`. */
import type { ApiContext } from './context.ts';
import { parseInfoHash } from './info-hash.ts';
import { parsePageNumber } from './page-number.ts';
import { jsonReply, type Reply } from './reply.ts';
import { pathParameter, queryOf, type Route } from './routes.ts';
import { torrentJson, torrentListJson } from './torrent-json.ts';
import { findTorrent, listTorrents } from './torrent-list.ts';

const DEFAULT_LIMIT = 4000;
/** Status 200, as in Torrust: clients look for this very string. */
const NOT_KNOWN = jsonReply('"torrent not known"');

export function torrentRoutes({ store }: ApiContext): Route[] {
  return [
    {
      path: '/api/v1/torrent/:info_hash',
      handlers: {
        GET(ctx) {
          const parsed = parseInfoHash(pathParameter(ctx, 'info_hash'));
          if (parsed.kind === 'refused') return parsed.reply;
          const torrent = findTorrent(store, parsed.value);
          if (torrent === undefined) return NOT_KNOWN;
          const peers = store.peersOf(parsed.value);
          return jsonReply(torrentJson(torrent, peers, store.nowSeconds(), Date.now()));
        },
      },
    },
    {
      path: '/api/v1/torrents',
      handlers: {
        async GET(ctx): Promise<Reply> {
          const query = queryOf(ctx);
          const offset = parsePageNumber(query, 'offset', 0);
          if (offset.kind === 'refused') return offset.reply;
          const limit = parsePageNumber(query, 'limit', DEFAULT_LIMIT);
          if (limit.kind === 'refused') return limit.reply;
          const asked = query.getAll('info_hash').map((text) => parseInfoHash(text));
          const bad = asked.find((parsed) => parsed.kind === 'refused');
          if (bad !== undefined) return bad.reply;
          const infoHashes = asked.flatMap((parsed) => (parsed.kind === 'value' ? [parsed.value] : []));
          // Torrents that are asked for by name come in the order asked, and pages mean nothing to them.
          const torrents =
            infoHashes.length === 0
              ? await listTorrents(store, offset.value, limit.value)
              : infoHashes.flatMap((infoHash) => findTorrent(store, infoHash) ?? []);
          return jsonReply(torrentListJson(torrents));
        },
      },
    },
  ];
}
