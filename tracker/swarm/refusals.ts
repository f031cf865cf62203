/**
 * Requests that were not served, by side, kind and reason: a block in each row of counters (`counters.ts`), whose places
 * are computed here. Who finds a new reason to refuse adds it to `REFUSAL_REASONS` and to `REASONS_OF`.
 */

/** Protocol and address family. */
export const SIDES = ['udp4', 'udp6', 'http4', 'http6'] as const;
export type SideName = (typeof SIDES)[number];

/** What was asked; `other` is what is no request of a tracker. */
export const REQUEST_KINDS = ['connect', 'announce', 'scrape', 'health_check', 'other'] as const;
export type RequestKindName = (typeof REQUEST_KINDS)[number];
export const RequestKind = { connect: 0, announce: 1, scrape: 2, healthCheck: 3, other: 4 } as const;
export type RequestKind = (typeof RequestKind)[keyof typeof RequestKind];

/**
 * Why it was not served: not well-formed; a wrong connection id; no valid key; not on the whitelist; from an address that
 * others can't reach; no address from the proxy; beyond a limit; from a banned address.
 */
export const REFUSAL_REASONS = [
  'malformed',
  'connection_id',
  'key',
  'not_listed',
  'source',
  'client_address',
  'limited',
  'banned',
] as const;
export type RefusalReasonName = (typeof REFUSAL_REASONS)[number];
export const RefusalReason = {
  malformed: 0,
  connectionId: 1,
  key: 2,
  notListed: 3,
  source: 4,
  clientAddress: 5,
  limited: 6,
  banned: 7,
} as const;
export type RefusalReason = (typeof RefusalReason)[keyof typeof RefusalReason];

/** The reasons that there can be for each kind of request, by protocol; without any, the kind is none of the protocol. */
export const REASONS_OF: Readonly<
  Record<'udp' | 'http', Readonly<Record<RequestKindName, readonly RefusalReasonName[]>>>
> = {
  udp: {
    connect: ['malformed', 'limited'],
    announce: ['malformed', 'connection_id', 'key', 'not_listed', 'source', 'limited'],
    scrape: ['malformed', 'connection_id', 'limited'],
    health_check: [],
    other: ['malformed', 'limited'],
  },
  http: {
    connect: [],
    announce: ['malformed', 'key', 'not_listed', 'source', 'client_address', 'limited', 'banned'],
    scrape: ['malformed', 'client_address', 'limited', 'banned'],
    health_check: ['limited'],
    other: ['malformed', 'limited'],
  },
};

/** The size of the block. */
export const REFUSAL_PLACES = SIDES.length * REQUEST_KINDS.length * REFUSAL_REASONS.length;

/** A place in the block. `side`, `kind` and `reason`: indices of the lists above. */
export function refusalPlace(side: number, kind: number, reason: number): number {
  return (side * REQUEST_KINDS.length + kind) * REFUSAL_REASONS.length + reason;
}
