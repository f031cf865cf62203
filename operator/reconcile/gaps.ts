/**
 * Notices when nobody answered a tracker's clients for long: UDP has no connections, so that clients learn of it by silence
 * alone, and nodes go on sending what they remember (conntrack) to a pod that is gone. Short gaps belong to every restart.
 * https://www.bittorrent.org/beps/bep_0015.html (time outs)
 */

/** A time without an answer, that has ended. */
export interface Gap {
  /** The node, where each has a pod of its own; empty for the whole tracker. */
  readonly place: string;
  readonly seconds: number;
}

/** What serves a tracker at a moment. */
export interface Serving {
  /** The places with a pod that takes traffic: nodes where clients go to nodes, else one without a name. */
  readonly places: readonly string[];
  /** Whether the status, which another operator may have written, says that pods were ready. */
  readonly hasServed: boolean;
  readonly nowMillis: number;
}

/** The place of a tracker that clients reach as a whole. */
export const WHOLE = '';
/** As long as a node remembers a way of UDP that nobody answered; a client has asked twice by then. */
const LONG_MILLIS = 30_000;
/** A node that is away for so long has gone. */
const FORGET_MILLIS = 24 * 3600_000;

/** The places that served once: undefined while they do, else since when they do not. */
type Places = Map<string, number | undefined>;

/** Watches over the gaps of trackers, by their keys. */
export class GapWatch {
  readonly #trackers = new Map<string, Places>();

  /** Takes what serves a tracker now. Returns the long gaps that have just ended. */
  note(key: string, { places, hasServed, nowMillis }: Serving): Gap[] {
    const known =
      this.#trackers.get(key) ?? new Map<string, undefined>(hasServed ? [[WHOLE, undefined]] : []);
    this.#trackers.set(key, known);
    const ended = places.flatMap((place): Gap[] => {
      const since = known.get(place);
      known.set(place, undefined);
      return since === undefined || nowMillis - since < LONG_MILLIS
        ? []
        : [{ place, seconds: Math.round((nowMillis - since) / 1000) }];
    });
    for (const [place, since] of known) {
      if (places.includes(place)) continue;
      if (since === undefined) known.set(place, nowMillis);
      else if (nowMillis - since > FORGET_MILLIS) known.delete(place);
    }
    return ended;
  }

  /** Forgets a tracker, or that it served: what it was asked to stop is no gap. */
  forget(key: string): void {
    this.#trackers.delete(key);
  }
}

/** One sentence about a gap. */
export function describeGap({ place, seconds }: Gap): string {
  const who = place === WHOLE ? 'No pod' : `No pod on node ${place}`;
  return `${who} took traffic for ${seconds} s: clients that asked meanwhile got no answer and come back at their next announce, and nodes that still send to the former pod (conntrack) stop within minutes. The events of the pods tell the cause.`;
}
