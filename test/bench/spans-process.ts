/**
 * What a traced UDP request costs the main thread: its span, the queue, batches of it, and a collector that is away. Options
 * as JSON in the argument; CPU time of the process per span, second by second, as JSON on standard output.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { startTracing } from '../../tracker/telemetry/tracing.ts';

export interface SpansProcessOptions {
  readonly seconds: number;
  readonly spansPerSecond: number;
}

const LOOKS_PER_SECOND = 10;

async function main({ seconds, spansPerSecond }: SpansProcessOptions): Promise<number[]> {
  const settings = { endpoint: 'http://127.0.0.1:9', serviceName: 'bench', sampleRatio: 1 };
  const tracing = await startTracing(settings, process.env, pino({ level: 'silent' }));
  const micros: number[] = [];
  for (let second = 0; second < seconds; second++) {
    const before = process.cpuUsage();
    for (let look = 0; look < LOOKS_PER_SECOND; look++) {
      for (let i = 0; i < spansPerSecond / LOOKS_PER_SECOND; i++) {
        tracing.addRequest({
          protocol: 'udp',
          kind: 'announce',
          family: 4,
          outcome: 'ok',
          startMillis: Date.now(),
          durationMillis: 0.01,
          traceparent: '',
          tracestate: '',
        });
      }
      await sleep(1000 / LOOKS_PER_SECOND);
    }
    const { user, system } = process.cpuUsage(before);
    micros.push((user + system) / spansPerSecond);
  }
  await tracing.stop();
  return micros;
}

// The benchmark that starts this process passes exactly this.
const options = JSON.parse(process.argv[2] ?? '') as SpansProcessOptions;
console.log(JSON.stringify(await main(options)));
process.exit();
