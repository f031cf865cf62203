/** The table `[swarm.snapshot]`: the file that swarms survive a restart in. */
import * as z from 'zod';
import { key, seconds, section, text } from '../fields.ts';

export const snapshot = section(
  z
    .strictObject({
      path: key(text('the path of a file').optional(), {
        description:
          'The file that the swarms are written to, when the tracker stops and every `interval`, and restored from when it starts. It takes about 60 bytes for each peer, and twice that while it is written; once more for each damaged file of before that is kept.',
        reload: 'live',
        absent: 'none, swarms begin empty',
      }),
      interval: key(seconds(1).default(300), {
        description: 'How often the swarms are written.',
        reload: 'live',
      }),
    })
    .prefault({}),
  'Keeps the swarms over a restart.',
);

/** The table as the tracker runs it. */
export type SnapshotConfig = z.output<typeof snapshot>;
