/**
 * The process of the addons (addons.ts), which goes on when the command that started it ends.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FOLDER, LOGS_FOLDER } from './layout.ts';
import { endProcess, type ProcessMark, startDetached } from './processes.ts';

const RECORD = join(FOLDER, 'addons.json');

/** Starts it. */
export function startAddons(): void {
  const program = join(import.meta.dirname, 'addons.ts');
  const mark = startDetached(process.execPath, [program, FOLDER], join(LOGS_FOLDER, 'addons.log'));
  writeFileSync(RECORD, JSON.stringify(mark));
}

/** Ends it, if it runs. */
export async function stopAddons(): Promise<void> {
  if (!existsSync(RECORD)) return;
  await endProcess(JSON.parse(readFileSync(RECORD, 'utf8')) as ProcessMark); // Written by startAddons.
}
