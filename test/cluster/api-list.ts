/** Lists of the API server. https://kubernetes.io/docs/reference/using-api/api-concepts/ */
import { type ApiClient, messageOf } from '../apiserver/client.ts';

/** The items at a path, such as `/api/v1/services`. Rejects with the server's words when it refuses. */
export async function listItems<Item>(admin: ApiClient, path: string): Promise<readonly Item[]> {
  const { status, body } = await admin.request('GET', path);
  if (status !== 200) throw new Error(`${path}: ${messageOf(body)}`);
  return (body as { items: Item[] }).items; // A list of the API server.
}
