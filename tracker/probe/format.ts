/**
 * A probe's result for people: one line per step, and with several rounds the spread of their times.
 */
import { createColors } from 'picocolors';
import { describeFailure, type ProbeResult, type ProbeStep, type ProbeStepName } from './result.ts';

const ORDER: readonly ProbeStepName[] = ['resolve', 'connect', 'announce', 'scrape', 'stop'];
const NAME_WIDTH = 9;
const TIME_WIDTH = 10;
/** Torrents and peers named one by one; the rest is counted. */
const MAX_LISTED = 10;

/** A table of the steps with a heading, ended by a newline. With one round a line has one time, else four columns. */
export function formatProbeTable(result: ProbeResult, colors: boolean): string {
  const paint = createColors(colors);
  const manyRounds = result.steps.some((step) => step.round > 1);
  const where = result.remote === null ? '' : ` (${result.remote})`;
  const lines = [paint.bold(`${result.url}${where}`)];
  if (manyRounds) {
    const titles = ['', 'ok', 'min', 'median', 'max'];
    lines.push(paint.dim(`  ${titles.map((title, i) => column(title, i)).join(' ')}`));
  }
  for (const name of ORDER) {
    const steps = result.steps.filter((step) => step.name === name);
    const last = steps.at(-1);
    if (last === undefined) continue;
    const cells = manyRounds ? spread(steps) : [formatTime(last.micros)];
    const line = [name, ...cells].map((cell, i) => column(cell, manyRounds ? i : 2 * i)).join(' ');
    const failed = steps.findLast((step) => step.kind === 'failed');
    const text = printable(failed === undefined ? describeStep(last) : describeStep(failed));
    lines.push(`  ${failed === undefined ? paint.green(line) : paint.red(line)}  ${text}`.trimEnd());
    if (last.kind === 'ok' && last.name === 'scrape') lines.push(...listTorrents(last.scrape.entries));
    if (last.kind === 'ok' && last.name === 'announce') lines.push(...listPeers(last.announce.peers));
  }
  return `${lines.join('\n')}\n`;
}

/** Text of a tracker without what a terminal would obey: control characters become escapes that can be read. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** How many rounds succeeded, and the least, the middle and the longest time of those. */
function spread(steps: readonly ProbeStep[]): string[] {
  const times = steps
    .filter((step) => step.kind === 'ok')
    .map((step) => step.micros)
    .toSorted((a, b) => a - b);
  const count = `${times.length}/${steps.length}`;
  const [min, median, max] = [times[0], times[times.length >> 1], times.at(-1)];
  return [count, ...[min, median, max].map((micros) => (micros === undefined ? '-' : formatTime(micros)))];
}

function formatTime(micros: number): string {
  return `${(micros / 1000).toFixed(micros < 10_000 ? 2 : 0)} ms`;
}

/** Names to the left; counts and times to the right. */
function column(text: string, index: number): string {
  if (index === 0) return text.padEnd(NAME_WIDTH);
  return text.padStart(index === 1 ? 5 : TIME_WIDTH);
}

function describeStep(step: ProbeStep): string {
  if (step.kind === 'failed') return describeFailure(step.failure);
  const tries = step.tries > 1 ? `after ${step.tries} tries` : '';
  switch (step.name) {
    case 'resolve':
      return step.address;
    case 'announce': {
      const { intervalSeconds, seeders, leechers, peers, externalIp, warning } = step.announce;
      const facts = [
        counted(seeders, 'seeder'),
        counted(leechers, 'leecher'),
        counted(peers.length, 'peer'),
        `again in ${intervalSeconds} s`,
        externalIp === null ? '' : `seen as ${externalIp}`,
        warning === null ? '' : `warning: ${warning}`,
        tries,
      ];
      return facts.filter((fact) => fact !== '').join(', ');
    }
    case 'scrape':
      return [counted(step.scrape.entries.length, 'torrent'), tries].filter((fact) => fact !== '').join(', ');
    case 'connect':
    case 'stop':
      return tries;
  }
}

function counted(count: number | null, noun: string): string {
  return count === null ? '' : `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function listTorrents(
  entries: readonly { infoHash: string; seeders: number; completed: number; leechers: number }[],
): string[] {
  const lines = entries.slice(0, MAX_LISTED).map(({ infoHash, seeders, completed, leechers }) => {
    return `    ${infoHash}  ${counted(seeders, 'seeder')}, ${counted(leechers, 'leecher')}, ${completed} completed`;
  });
  return [...lines, ...more(entries.length)];
}

function listPeers(peers: readonly { address: string; port: number }[]): string[] {
  const lines = peers.slice(0, MAX_LISTED).map(({ address, port }) => {
    return `    ${printable(address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`)}`;
  });
  return [...lines, ...more(peers.length)];
}

function more(count: number): string[] {
  return count > MAX_LISTED ? [`    and ${count - MAX_LISTED} more`] : [];
}
