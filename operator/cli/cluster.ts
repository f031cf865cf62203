/** The cluster of a command that asks it something and ends. */
import type { KubeClient } from '../kube/client.ts';
import type { Connection } from '../kube/connection.ts';

/** A client, and the connection that is to be closed at the end. */
export interface Cluster {
  readonly client: KubeClient;
  readonly connection: Connection;
}

/**
 * Opens the cluster of a context, or of the current one. The library behind it takes a second to load, so that it is
 * loaded here and not by commands that need no cluster.
 */
export async function openCluster(context: string | undefined): Promise<Cluster> {
  const [{ KubeClient: Client }, { Connection: Way }, { createKubeMetrics }, { Registry }] =
    await Promise.all([
      import('../kube/client.ts'),
      import('../kube/connection.ts'),
      import('../kube/metrics.ts'),
      import('prom-client'),
    ]);
  const connection = Way.load(context);
  return { connection, client: new Client(connection, createKubeMetrics(new Registry()).client) };
}
