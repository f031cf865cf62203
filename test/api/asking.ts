/** HTTP requests as tests write them: nothing is added, followed, decoded or kept alive behind their back. */
import { request, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly host?: string;
}

export interface Answer {
  readonly status: number;
  readonly type: string | undefined;
  readonly body: string;
  readonly bytes: Buffer;
  readonly headers: IncomingHttpHeaders;
}

/** Sends one request on a connection of its own. */
export async function ask(port: number, method: string, path: string, asking: Asking = {}): Promise<Answer> {
  const { headers = {}, body, host = '127.0.0.1' } = asking;
  const answered = Promise.withResolvers<Answer>();
  const sent = request({ host, port, method, path, headers, agent: false }, (response) => {
    buffer(response).then((bytes) => {
      answered.resolve({
        status: response.statusCode ?? 0,
        type: response.headers['content-type'],
        body: bytes.toString('utf8'),
        bytes,
        headers: response.headers,
      });
    }, answered.reject);
  });
  sent.on('error', answered.reject);
  sent.end(body);
  return answered.promise;
}
