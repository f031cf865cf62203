/** What the metrics' listener answers: `/metrics`, and nothing else. */
import type { RequestListener, ServerResponse } from 'node:http';
import type { Metrics } from './metrics.ts';
import type { Readings } from './readings.ts';

/** The path that Prometheus asks by default. */
export const METRICS_PATH = '/metrics';

/** An application for `openApiServer`. `onFault` is told of mistakes in the code behind it. */
export function createMetricsApp(
  metrics: Metrics,
  read: () => Promise<Readings>,
  onFault: (error: unknown) => void,
): { callback(): RequestListener } {
  const answer: RequestListener = (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0];
    if (path !== METRICS_PATH) {
      end(response, 404);
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      end(response, 405);
    } else {
      void show(response);
    }
  };
  async function show(response: ServerResponse): Promise<void> {
    try {
      const text = await metrics.write(await read());
      response.writeHead(200, {
        'Content-Type': metrics.contentType,
        'Content-Length': Buffer.byteLength(text),
      });
      response.end(text);
    } catch (error) {
      onFault(error);
      end(response, 500);
    }
  }
  return { callback: () => answer };
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'Content-Length': 0 }).end();
}
