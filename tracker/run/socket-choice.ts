/** Decides between native and portable sockets. */
import type { TrackerConfig } from '../config/schema.ts';
import { StartError } from '../start-error.ts';
import type { Logger } from '../telemetry/log.ts';

/**
 * Whether sockets are native. Says in the log when the choice was left to the tracker and they can't be had; throws
 * `StartError` when they were asked for.
 */
export async function choosesNativeSockets(config: TrackerConfig, logger: Logger): Promise<boolean> {
  const { sockets } = config.network;
  if (sockets === 'portable') return false;
  const obstacle = await nativeObstacle();
  if (obstacle === null) return true;
  if (sockets === 'native') throw new StartError(obstacle, { isUsage: true });
  logger.info(`Portable sockets are used: ${obstacle}`);
  return false;
}

/** Why native sockets are not to be had here; null when they are. */
async function nativeObstacle(): Promise<string | null> {
  try {
    // Loaded only when it is wanted: the package has no binary for some systems.
    const native = await import('../net/native/listeners.ts');
    return native.nativeObstacle();
  } catch (error) {
    return `native sockets could not be loaded: ${error instanceof Error ? error.message : String(error)}`;
  }
}
