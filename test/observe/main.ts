/**
 * `make observe`: a tracker under a gentle load with Prometheus beside it and, where a container engine is at hand,
 * Grafana with the dashboards, unless the argument is `--no-grafana`. Everything runs in the foreground and ends with Ctrl-C.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { selfSigned } from '../api/certificates.ts';
import { partObstacle, PARTS } from '../support/parts.ts';
import { startNodeExporter, startPrometheus } from '../support/prometheus.ts';
import { startTrackerProcess } from '../support/tracker-process.ts';
import { gentleLoad } from './gentle-load.ts';
import { startGrafana } from './grafana.ts';
import { observedConfig, RULE_FILES } from './monitored.ts';

const folder = mkdtempSync(join(tmpdir(), 'torrust-observe-'));
const cleaners: (() => void | Promise<void>)[] = [() => rmSync(folder, { recursive: true, force: true })];
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

try {
  const lack = missingPart();
  if (lack === undefined) await observe();
  else {
    console.error(lack);
    process.exitCode = 1;
  }
} finally {
  for (const clean of cleaners.toReversed()) await clean();
}

/** What there is nothing to observe with, in a sentence; undefined where it is there. */
function missingPart(): string | undefined {
  const obstacle = partObstacle('prometheus');
  const part = PARTS.find(({ name }) => name === 'prometheus');
  if (obstacle === undefined || part === undefined) return undefined;
  return `Nothing was started, for lack of ${part.title} (${obstacle}): ${part.elsewhere}.`;
}

async function observe(): Promise<void> {
  const { cert, key } = selfSigned('tracker.example', 90);
  writeFileSync(join(folder, 'tracker.crt'), cert);
  writeFileSync(join(folder, 'tracker.key'), key, { mode: 0o600 });
  const context = { after: (clean: () => void) => cleaners.push(clean) };
  const tracker = await startTrackerProcess(context, observedConfig(folder), { folder });
  cleaners.push(async () => void (await tracker.stop()));
  const prometheus = await startPrometheus({
    folder,
    targets: { torrust: [new URL(tracker.metrics).host], node: [await startNodeExporter(context)] },
    ruleFiles: RULE_FILES,
    intervalSeconds: 5,
  });
  cleaners.push(() => prometheus.close());
  const grafana = await findGrafana(prometheus.url);
  if (!stop.signal.aborted) {
    const [udp] = tracker.udp;
    const http = `http://127.0.0.1:${tracker.http[0].port}`;
    console.log(`
A tracker under a gentle load, and who watches it:
  Tracker     udp://127.0.0.1:${udp.port}/announce, ${http}/announce
  Metrics     ${tracker.metrics}
  Prometheus  ${await findPage(prometheus.url, 'graph')}?g0.expr=sum%20by%20(protocol%2Ckind)(rate(torrust_tracker_requests_total%5B1m%5D))&g0.tab=0
  Alerts      ${await findPage(prometheus.url, 'alerts')}
  Grafana     ${grafana}

Ctrl-C ends all of it.
`);
    await gentleLoad({ udp: tracker.udp, http: [http] }, stop.signal);
  }
  console.log('Stopping.');
}

/** The address of a page of Prometheus, which Debian's package, whose pages are older ones, has elsewhere. */
async function findPage(prometheusUrl: string, name: string): Promise<string> {
  const ofDebian = `${prometheusUrl}/classic/${name}`;
  return (await fetch(ofDebian)).ok ? ofDebian : `${prometheusUrl}/${name}`;
}

/** Where Grafana is, or why it is not. */
async function findGrafana(prometheusUrl: string): Promise<string> {
  if (process.argv.includes('--no-grafana')) return 'not wanted';
  const grafana = await startGrafana({ folder, prometheusUrl, signal: stop.signal });
  cleaners.push(() => grafana.close());
  return grafana.where;
}
