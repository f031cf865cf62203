/** `torrust-tracker probe URL`: connect, announce and scrape as a client does, measured. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { formatProbeTable } from '../probe/format.ts';
import { probeHttp } from '../probe/http.ts';
import type { ProbeOptions } from '../probe/probe.ts';
import type { ProbeResult } from '../probe/result.ts';
import { parseInfoHash, parseTrackerUrl, type TrackerTarget } from '../probe/target.ts';
import { formatTorrustChecks, formatTorrustJson } from '../probe/torrust-format.ts';
import { probeUdp } from '../probe/udp.ts';
import { StartError } from '../start-error.ts';
import { colorsFor, ExitCode } from './terminal.ts';

interface ProbeCommandOptions {
  readonly key: string;
  readonly infoHash: readonly Uint8Array[];
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly json?: (typeof JSON_FORMS)[number];
  readonly ask: ProbeOptions['ask'];
  readonly watch?: number;
  readonly timeout: number;
  readonly insecure?: boolean;
}

const WATCH_SECONDS = 2;
const JSON_FORMS = ['plain', 'torrust', 'torrust-checker'] as const;

export function addProbeCommand(program: Command): void {
  program
    .command('probe')
    .description(
      'Ask a tracker as a client does: connect, announce, scrape, with the time of each. Leaves no peer behind.',
    )
    .argument('<url>', 'udp://host:port[/announce] or http[s]://host:port[/announce]')
    .option('-k, --key <key>', 'the authentication key of a private tracker', '')
    .option(
      '-i, --info-hash <hex>',
      'the torrent, 40 hex digits; repeat it to scrape several (default: a random one)',
      addInfoHash,
      [],
    )
    .addOption(
      new Option('-a, --ask <what>', 'what to ask').choices(['announce', 'scrape', 'both']).default('both'),
    )
    .option('-4, --ipv4', 'over IPv4 only')
    .option('-6, --ipv6', 'over IPv6 only')
    .addOption(
      new Option(
        '--json [form]',
        'as JSON; "torrust": as the clients of Torrust Tracker print it, "torrust-checker": as its tracker_checker does',
      ).choices(JSON_FORMS),
    )
    .option('-w, --watch [seconds]', `again and again, every ${WATCH_SECONDS} seconds`, positiveNumber)
    .option('-t, --timeout <seconds>', 'the longest that a step may take', positiveNumber, 5)
    .option('--insecure', 'accept any certificate')
    .action(probe);
}

/**
 * Gives `--json` and `--watch` their values where they stand alone, since they would otherwise take the URL behind them
 * for one.
 */
export function spellOutOptions(args: readonly string[]): string[] {
  return args.map((arg, index) => {
    const next = args[index + 1] ?? '';
    if (arg === '--json' && !isJsonForm(next)) return '--json=plain';
    if ((arg === '--watch' || arg === '-w') && !/^[\d.]+$/.test(next)) return `--watch=${WATCH_SECONDS}`;
    return arg;
  });
}

async function probe(url: string, options: ProbeCommandOptions): Promise<void> {
  const target = parseTrackerUrl(url, options.key);
  if (target.kind === 'bad') throw new StartError(target.reason, { isUsage: true });
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  const probeOptions: Partial<ProbeOptions> = {
    ask: options.ask,
    family: options.ipv4 ? 4 : options.ipv6 ? 6 : null,
    timeoutMillis: options.timeout * 1000,
    insecure: options.insecure ?? false,
    signal: abort.signal,
    ...(options.infoHash.length > 0 && { infoHashes: options.infoHash }),
  };
  const pauseSeconds = options.watch ?? 0;
  do {
    const result = await ask(target, probeOptions);
    print(result, options);
    process.exitCode = result.ok ? ExitCode.done : ExitCode.failed;
    if (pauseSeconds > 0)
      await sleep(pauseSeconds * 1000, undefined, { signal: abort.signal }).catch(() => undefined);
  } while (pauseSeconds > 0 && !abort.signal.aborted);
}

function ask(target: TrackerTarget, options: Partial<ProbeOptions>): Promise<ProbeResult> {
  return target.kind === 'udp' ? probeUdp(target, options) : probeHttp(target, options);
}

function print(result: ProbeResult, { json, ask: question }: ProbeCommandOptions): void {
  if (json === undefined) {
    process.stdout.write(formatProbeTable(result, colorsFor(process.stdout).isColorSupported));
    return;
  }
  const text =
    json === 'plain'
      ? `${JSON.stringify(result)}\n`
      : json === 'torrust-checker'
        ? formatTorrustChecks([result])
        : formatTorrustJson(result, question === 'scrape' ? 'scrape' : 'announce');
  if (text !== null) process.stdout.write(text);
  // Who asked for JSON reads nothing else on stdout.
  else process.stderr.write(formatProbeTable(result, colorsFor(process.stderr).isColorSupported));
}

function isJsonForm(text: string): boolean {
  return JSON_FORMS.some((form) => form === text);
}

function addInfoHash(text: string, before: readonly Uint8Array[]): readonly Uint8Array[] {
  const infoHash = parseInfoHash(text);
  if (infoHash === null) throw new InvalidArgumentError('An info hash is 40 hex digits.');
  return [...before, infoHash];
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It has to be a number above zero.');
  return value;
}
