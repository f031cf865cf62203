/** `torrust-tracker health URL`: whether a health check answers well; Torrust's `http_health_check`, for containers. */
import type { Command } from 'commander';
import { isHealthy, probeHealth } from '../probe/health.ts';
import { describeFailure } from '../probe/result.ts';
import { StartError } from '../start-error.ts';
import { ExitCode } from './terminal.ts';

export function addHealthCommand(program: Command): void {
  program
    .command('health')
    .description('Ask a health check, and end with 0 when its status is one of success.')
    .argument('[url]', 'what to ask', defaultUrl())
    .option('--insecure', 'accept any certificate')
    .action(check);
}

/** Whether the tracker of this container serves, at the port that Torrust's containers name. */
function defaultUrl(): string {
  return `http://127.0.0.1:${process.env['HEALTH_CHECK_API_PORT'] || '1313'}/readyz`;
}

async function check(text: string, options: { readonly insecure?: boolean }): Promise<void> {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new StartError('the URL has to begin with http:// or https://', { isUsage: true });
  }
  process.stdout.write('Health check ...\n');
  const result = await probeHealth(url, { insecure: options.insecure ?? false });
  const { outcome } = result;
  if (isHealthy(result) && outcome.kind === 'answered') {
    process.stdout.write(`STATUS: ${outcome.status} ${outcome.statusText}\n`);
    return;
  }
  process.exitCode = ExitCode.failed;
  process.stdout.write(
    outcome.kind === 'answered'
      ? 'Non-success status received.\n'
      : `ERROR: ${describeFailure(outcome.failure)}\n`,
  );
}
