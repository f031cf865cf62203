/**
 * The description of the REST API for programs (OpenAPI 3.1), served at `/api/v1/openapi.json`. Written by hand, and
 * held current by a test that compares it with the routes and with real answers.
 */
import type { Method } from './routes.ts';

import { STAT_NAMES, type StatName } from './stats.ts';

/** A JSON Schema (2020-12), as far as it is used here. */
type Schema = Readonly<Record<string, unknown>>;

interface Answers {
  readonly [status: string]: { readonly description: string; readonly content?: Schema };
}

/** One method of a path. */
export interface Operation {
  readonly summary: string;
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly deprecated?: boolean;
  readonly parameters?: readonly Schema[];
  readonly requestBody?: Schema;
  readonly security?: readonly Schema[];
  readonly responses: Answers;
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: Schema;
  readonly security: readonly Schema[];
  readonly paths: Readonly<Record<string, Readonly<Partial<Record<Lowercase<Method>, Operation>>>>>;
  readonly components: Readonly<Record<'schemas' | 'parameters' | 'securitySchemes', Schema>>;
}

const COUNT: Schema = { type: 'integer', minimum: 0 };
const COUNTER64: Schema = { type: 'integer', format: 'int64', description: 'Bytes; 64 bits.' };
const UNIX_MILLIS: Schema = { type: 'integer', description: 'Milliseconds since 1970.' };
const UNIX_SECONDS: Schema = { type: 'integer', description: 'Seconds since 1970.' };
const KEY_TEXT: Schema = { type: 'string', pattern: '^[A-Za-z0-9]{32}$' };
const INFO_HASH: Schema = { type: 'string', pattern: '^[0-9a-f]{40}$' };

const TORRENT_COUNTERS: Readonly<Record<string, Schema>> = {
  info_hash: INFO_HASH,
  seeders: COUNT,
  completed: { ...COUNT, description: 'Downloads completed.' },
  leechers: COUNT,
};

const SCHEMAS: Readonly<Record<string, Schema>> = {
  Health: object({ status: { const: 'Ok' } }),
  Done: object({ status: { const: 'ok' } }),
  Stats: object(Object.fromEntries(STAT_NAMES.map((name) => [name, statSchema(name)]))),
  Metrics: object({
    metrics: {
      type: 'array',
      items: object({
        type: { enum: ['counter', 'gauge'] },
        name: { type: 'string' },
        unit: { enum: ['count', 'nanoseconds'] },
        description: { type: 'string' },
        samples: {
          type: 'array',
          items: object({
            value: { type: 'number' },
            recorded_at: { type: 'string', description: 'When it was read (RFC 3339).' },
            labels: {
              type: 'array',
              items: object({ name: { type: 'string' }, value: { type: 'string' } }),
            },
          }),
        },
      }),
    },
  }),
  TorrentSummary: object(TORRENT_COUNTERS),
  Torrent: object({ ...TORRENT_COUNTERS, peers: { type: 'array', items: reference('Peer') } }),
  Peer: object({
    peer_id: object({
      id: { type: 'string', pattern: '^0x[0-9a-f]{40}$' },
      client: { type: ['string', 'null'], description: 'The name of the client, where it is known.' },
    }),
    peer_addr: { type: 'string', description: '`IP:PORT`, or `[IPv6]:PORT`.' },
    updated: UNIX_MILLIS,
    updated_milliseconds_ago: {
      ...UNIX_MILLIS,
      description: 'The same as `updated`, whatever its name says.',
    },
    uploaded: COUNTER64,
    downloaded: COUNTER64,
    left: COUNTER64,
    event: { enum: ['Started', 'Stopped', 'Completed', 'None'] },
  }),
  Key: object({
    key: KEY_TEXT,
    valid_until: { type: ['integer', 'null'], description: 'Seconds since 1970; null: for ever.' },
    expiry_time: {
      type: ['string', 'null'],
      description: 'The same as a text, such as `2030-01-31 12:00:00 UTC`.',
    },
  }),
  Ban: object({
    address: {
      type: 'string',
      description: 'An IP address, or a /24 of IPv4 or /64 of IPv6 in CIDR notation.',
    },
    reason: { enum: ['wrong_connection_ids', 'by_hand'] },
    since: UNIX_SECONDS,
    until: { type: ['integer', 'null'], description: 'Seconds since 1970; null: until it is lifted.' },
  }),
  Bans: object({
    total: { ...COUNT, description: 'Bans in force, on all pages.' },
    bans: { type: 'array', items: reference('Ban') },
  }),
  BanForm: {
    type: 'object',
    properties: {
      address: {
        type: 'string',
        description: 'An IP address, or a /24 of IPv4 or /64 of IPv6 in CIDR notation.',
      },
      seconds: { type: ['integer', 'null'], minimum: 1, description: 'Null or absent: until it is lifted.' },
    },
    required: ['address'],
  },
  Abuse: object({
    bans: counts('in_force', 'udp_requests_ignored', 'http_requests_refused'),
    connection_id_failures: counts('expired', 'other_address', 'forged'),
    connections_beyond_limit: { type: 'integer' },
    requests_beyond_limits: counts('per_ip', 'per_network', 'overall'),
    announces_beyond_limits: counts('max_swarms', 'max_peers_per_swarm', 'max_peers_per_ip'),
    local_source_announces: counts(
      'cluster',
      'proxy',
      'loopback',
      'private',
      'shared',
      'link_local',
      'unique_local',
      'refused',
    ),
    proxy_headers_refused: COUNT,
  }),
  KeyForm: object({
    key: { type: ['string', 'null'], pattern: '^[A-Za-z0-9]{32}$', description: 'Null: a random one.' },
    seconds_valid: { type: ['integer', 'null'], minimum: 0, description: 'Null: for ever.' },
  }),
};

const NOT_AUTHORIZED = text('Without a valid token; or the database failed, as the text says.');
const REFUSED = text('The request is malformed, as the text says.');
const DONE = { 200: json('Done.', reference('Done')) };

/** The whole description. */
export const OPENAPI_DOCUMENT: OpenApiDocument = {
  openapi: '3.1.0',
  info: {
    title: 'Torrust Tracker REST API',
    version: '1',
    description:
      'Management of the tracker. Every request carries a token. Errors are plain text; a refused token is status 500, for the sake of the clients of Torrust.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  security: [{ bearer: [] }, { token: [] }],
  paths: {
    '/api/health_check': {
      get: {
        ...operation('health', 'healthCheck', 'Whether the API answers; needs no token'),
        security: [],
        responses: { 200: json('It does.', reference('Health')) },
      },
    },
    '/api/v1/stats': {
      get: {
        ...operation('stats', 'getStats', 'Statistics of the tracker', {
          200: inFormats('The statistics.', reference('Stats')),
          400: REFUSED,
        }),
        parameters: [parameter('Format')],
      },
    },
    '/api/v1/metrics': {
      get: {
        ...operation('stats', 'getMetrics', 'Metrics under the names of Torrust Tracker', {
          200: inFormats('The metrics.', reference('Metrics')),
          400: REFUSED,
        }),
        parameters: [parameter('Format')],
      },
    },
    '/api/v1/torrents': {
      get: {
        ...operation('torrents', 'listTorrents', 'Torrents by ascending info hash', {
          200: json('The torrents.', { type: 'array', items: reference('TorrentSummary') }),
          400: REFUSED,
        }),
        parameters: [
          query('offset', 'How many torrents are passed over.', { ...COUNT, default: 0 }),
          query('limit', 'The most torrents that are listed.', { ...COUNT, default: 4000 }),
          query('info_hash', 'Lists these torrents, in this order, instead of a page.', {
            type: 'array',
            items: INFO_HASH,
          }),
        ],
      },
    },
    '/api/v1/torrent/{info_hash}': {
      get: {
        ...operation('torrents', 'getTorrent', 'A torrent with its peers', {
          200: json('The torrent, or a text when it is not known.', {
            anyOf: [reference('Torrent'), { const: 'torrent not known' }],
          }),
          400: REFUSED,
        }),
        parameters: [parameter('InfoHash')],
      },
    },
    '/api/v1/whitelist/reload': {
      get: operation('whitelist', 'reloadWhitelist', 'Takes the whitelist from the database', DONE),
    },
    '/api/v1/whitelist/{info_hash}': {
      post: {
        ...operation('whitelist', 'whitelistTorrent', 'Adds a torrent', { ...DONE, 400: REFUSED }),
        parameters: [parameter('InfoHash')],
      },
      delete: {
        ...operation('whitelist', 'unlistTorrent', 'Removes a torrent', { ...DONE, 400: REFUSED }),
        parameters: [parameter('InfoHash')],
      },
    },
    '/api/v1/keys/reload': {
      get: operation('keys', 'reloadKeys', 'Takes the keys from the database', DONE),
    },
    '/api/v1/keys': {
      post: {
        ...operation('keys', 'createKey', 'Creates a key', {
          200: json('The key.', reference('Key')),
          400: REFUSED,
          413: text('The body is longer than two megabytes.'),
          415: text('The body is not said to be JSON.'),
          422: text('The body has other members or types.'),
        }),
        requestBody: { required: true, content: { 'application/json': { schema: reference('KeyForm') } } },
      },
    },
    '/api/v1/key/{seconds_valid_or_key}': {
      post: {
        ...operation('keys', 'generateKey', 'Creates a random key that is valid for so many seconds', {
          200: json('The key.', reference('Key')),
          400: REFUSED,
        }),
        deprecated: true,
        parameters: [parameter('SecondsValid')],
      },
      delete: {
        ...operation('keys', 'deleteKey', 'Deletes a key', { ...DONE, 400: REFUSED }),
        parameters: [parameter('Key')],
      },
    },
    '/api/v1/bans': {
      get: {
        ...operation('bans', 'listBans', 'Bans in force, those that came last first', {
          200: json('The bans.', reference('Bans')),
          400: REFUSED,
        }),
        parameters: [
          query('offset', 'How many bans are passed over.', { ...COUNT, default: 0 }),
          query('limit', 'The most bans that are listed.', { ...COUNT, default: 1000 }),
        ],
      },
      post: {
        ...operation('bans', 'imposeBan', 'Bans an address or network, over UDP and HTTP', {
          200: json('The ban.', reference('Ban')),
          400: REFUSED,
          409: text('The address, or all of the network, is never banned; or there is no room.'),
          413: text('The body is longer than two megabytes.'),
          415: text('The body is not said to be JSON.'),
          422: text('The body has other members or types.'),
        }),
        requestBody: { required: true, content: { 'application/json': { schema: reference('BanForm') } } },
      },
      delete: operation('bans', 'liftBans', 'Lifts all bans', DONE),
    },
    '/api/v1/ban/{address}': {
      delete: {
        ...operation('bans', 'liftBan', 'Lifts the ban of exactly this address or network', {
          ...DONE,
          400: REFUSED,
          404: text('There is no such ban.'),
        }),
        parameters: [parameter('BannedAddress')],
      },
    },
    '/api/v1/abuse': {
      get: operation('bans', 'getAbuse', 'What was refused, ignored or found odd since the start', {
        200: json('The figures.', reference('Abuse')),
      }),
    },
    '/api/v1/openapi.json': {
      get: operation('openapi', 'getOpenapi', 'This description', {
        200: json('The description.', { type: 'object' }),
      }),
    },
  },
  components: {
    schemas: SCHEMAS,
    parameters: {
      Format: query('format', 'JSON, or lines of text for Prometheus.', {
        enum: ['json', 'prometheus'],
        default: 'json',
      }),
      InfoHash: path('info_hash', { type: 'string', pattern: '^[0-9A-Fa-f]{40}$' }),
      SecondsValid: path('seconds_valid_or_key', COUNT),
      Key: path('seconds_valid_or_key', KEY_TEXT),
      BannedAddress: path('address', { type: 'string' }),
    },
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer' },
      token: { type: 'apiKey', in: 'query', name: 'token' },
    },
  },
};

function operation(tag: string, operationId: string, summary: string, responses: Answers = {}): Operation {
  return { summary, operationId, tags: [tag], responses: { ...responses, 500: NOT_AUTHORIZED } };
}

function statSchema(name: StatName): Schema {
  return name === 'completed_persisted_enabled' ? { type: 'boolean' } : COUNT;
}

/** An object that has all of these members. */
function object(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', properties, required: Object.keys(properties) };
}

function counts(...names: readonly string[]): Schema {
  return object(Object.fromEntries(names.map((name) => [name, COUNT])));
}

function reference(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function parameter(name: string): Schema {
  return { $ref: `#/components/parameters/${name}` };
}

function path(name: string, schema: Schema): Schema {
  return { name, in: 'path', required: true, schema };
}

function query(name: string, description: string, schema: Schema): Schema {
  return { name, in: 'query', description, schema };
}

function json(description: string, schema: Schema): Answers[string] {
  return { description, content: { 'application/json': { schema } } };
}

/** JSON, or lines of text where they are asked for. */
function inFormats(description: string, schema: Schema): Answers[string] {
  return {
    description,
    content: { 'application/json': { schema }, 'text/plain': { schema: { type: 'string' } } },
  };
}

function text(description: string): Answers[string] {
  return { description, content: { 'text/plain': { schema: { type: 'string' } } } };
}
