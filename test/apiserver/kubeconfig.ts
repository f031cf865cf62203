/**
 * Kubeconfigs for tests. https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
 */
import { stringify } from 'yaml';

/** Who speaks to which server. */
export interface Access {
  readonly url: string;
  /** PEM. */
  readonly authority: string;
  /** A bearer token. */
  readonly token: string;
  /** That of the context. */
  readonly namespace: string;
}

/** The text of a kubeconfig with one context. */
export function kubeconfigText({ url, authority, token, namespace }: Access): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
    clusters: [
      {
        name: 'test',
        cluster: { server: url, 'certificate-authority-data': Buffer.from(authority).toString('base64') },
      },
    ],
    users: [{ name: 'test', user: { token } }],
  });
}
