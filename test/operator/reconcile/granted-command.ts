/**
 * The real command under a service account that may do what the roles say and nothing else. Its end is looked at: in order,
 * and with nothing refused to it.
 */
import assert from 'node:assert/strict';
import type { ApiServer } from '../../apiserver/server.ts';
import type { Cleaner } from '../../support/tracker-process.ts';
import { type RunningCommand, startCommand } from '../cli/operator-process.ts';
import { forbiddenTo, grant } from './running-operator.ts';

/** A command that runs. */
export interface GrantedCommand extends RunningCommand {
  /** Asks it to end; it must do so in order, and every request of it must have been allowed. */
  stop(): Promise<void>;
}

/** Starts `torrust-operator run` with a lease in the namespace of the account; `more` are further arguments. */
export async function startGranted(
  context: Cleaner,
  server: ApiServer,
  more: readonly string[] = [],
): Promise<GrantedCommand> {
  const kubeconfig = server.kubeconfig(await grant(server), 'torrust-system');
  const command = startCommand(context, ['run', '--bind-address', '127.0.0.1:0', ...more], kubeconfig);
  return {
    ...command,
    async stop() {
      command.child.kill('SIGTERM');
      const { code, stderr } = await command.ended();
      assert.equal(code, 0, stderr);
      assert.deepEqual(forbiddenTo(server), []);
    },
  };
}
