/** A real tracker whose traces go to a receiver, and the traces of its callers. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { TOKEN } from '../reload/live-tracker.ts';
import {
  type Cleaner,
  type PartialConfig,
  startTrackerProcess,
  temporaryFolder,
  type TrackerProcess,
} from '../support/tracker-process.ts';
import type { OtlpReceiver } from './otlp-receiver.ts';

const ANY = { bind_address: '127.0.0.1:0' };
/** Spans are sent soon, so that no test waits for the usual five seconds. */
const SOON = { OTEL_BSP_SCHEDULE_DELAY: '100' };

/** A trace that a caller has begun, with the header that tells of it. */
export function newTrace(flags = '01'): {
  readonly traceId: string;
  readonly parentId: string;
  readonly header: string;
} {
  const traceId = randomBytes(16).toString('hex');
  const parentId = randomBytes(8).toString('hex');
  return { traceId, parentId, header: `00-${traceId}-${parentId}-${flags}` };
}

/** Starts a tracker with every part, which traces everything that it can. `config` and `env` come on top. */
export async function startTraced(
  context: Cleaner,
  receiver: Pick<OtlpReceiver, 'url'>,
  config: PartialConfig = {},
  env: Record<string, string> = {},
): Promise<TrackerProcess> {
  const folder = temporaryFolder(context);
  return startTrackerProcess(
    context,
    {
      core: { database: { driver: 'sqlite3', path: join(folder, 'tracker.db') } },
      udp_trackers: [ANY],
      http_trackers: [ANY],
      http_api: { ...ANY, access_tokens: { admin: TOKEN } },
      telemetry: { otlp_endpoint: receiver.url, udp_every: 1 },
      ...config,
    },
    { folder, env: { ...SOON, ...env } },
  );
}
