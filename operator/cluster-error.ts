/** What somebody has to mend in the cluster before a command can do its work: told in one line, without a trace. */

/** The cluster lacks something, or does not take it. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError';
}
