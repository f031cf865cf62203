/**
 * Loaded into every test process by the runner: ends a process that stays alive after its last test.
 *
 * node:test waits for ever for such a file. What keeps it alive (a server, a child process) is a mistake of the test,
 * which has to clean up, so the file fails and says what was left.
 */
import { after } from 'node:test';

/** Long enough for sockets to finish closing on a busy machine. */
const GRACE_MILLIS = 15_000;

after(() => {
  setTimeout(() => {
    console.error(
      `the tests are over, but the process stays alive: ${process.getActiveResourcesInfo().join(', ')}`,
    );
    process.exit(1);
  }, GRACE_MILLIS).unref();
});
