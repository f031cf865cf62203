/**
 * Where the announces of a pod came from of late, made of its counters, which begin with its process: what was before weighs
 * no more than what is new, so that the verdict follows a change of the exposure within a few probes, and stays as it
 * is while nobody announces.
 */
import type { SourceFacts } from '../status.ts';

/** The sources of one pod. */
export class RecentSources {
  #counted: SourceFacts | undefined;
  #recent: SourceFacts = { announces: 0, fromCluster: 0 };

  /** Takes what the counters say now; returns what came of late, in parts of announces. */
  take(counted: SourceFacts): SourceFacts {
    const before = this.#counted;
    this.#counted = counted;
    // Counters that went down are those of a new process.
    const since =
      before === undefined || counted.announces < before.announces
        ? { announces: 0, fromCluster: 0 }
        : before;
    const announces = counted.announces - since.announces;
    const fromCluster = counted.fromCluster - since.fromCluster;
    if (announces > 0) {
      const weight = Math.min(1, announces / Math.max(1, this.#recent.announces));
      this.#recent = {
        announces: this.#recent.announces * weight + announces,
        fromCluster: this.#recent.fromCluster * weight + fromCluster,
      };
    }
    return this.#recent;
  }
}
