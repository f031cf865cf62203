/** How the swarm store keeps and forgets; read with each announce and each round of expiry. */

/** What the owner of the store decides about keeping and counting. */
export interface SwarmRules {
  /** Completed counters are kept in the database: note what it must be told and asked. */
  persistCompleted: boolean;
  /** Torrents go with their last peer (those with a persistent counter above zero stay). */
  removePeerless: boolean;
  /** When memory is full, a peer that was silent for longer may be given up for a new one. */
  staleAfterSeconds: number;
}
