/**
 * What a tracker keeps: its database, and its swarms in memory and on disk.
 */
import * as z from 'zod';
import { anyPort, flag, objectName, storageSize, text, textLike, wholeNumber, withRules } from './fields.ts';
import { secretKeyReference, secretReference } from './kubernetes-fields.ts';

/** The size of the volume unless the resource says another. */
export const DEFAULT_STORAGE_SIZE = '1Gi';

const storageClass = () =>
  objectName()
    .optional()
    .describe("The StorageClass; left out: the cluster's default. Can't be changed later.");

const sqlite = z.strictObject({
  size: storageSize()
    .default(DEFAULT_STORAGE_SIZE)
    .describe('The size of the volume. It can grow, never shrink.'),
  storageClassName: storageClass(),
  retain: flag(true).describe(
    'Keeps the volume when the tracker is deleted; false: it goes with the tracker.',
  ),
});

const mysql = z.strictObject({
  host: text(253).describe('The server: a name or an address.'),
  port: anyPort().default(3306).describe('Its port.'),
  database: text(64).describe('The database. It has to exist; the tracker makes its tables.'),
  credentialsSecretRef: secretReference().describe('A Secret with the keys username and password.'),
  tls: z
    .strictObject({
      caSecretRef: secretKeyReference('ca.crt')
        .optional()
        .describe("The authorities that may have signed the server's certificate; left out: the system's."),
    })
    .optional()
    .describe('Encrypts the connection; left out: no encryption.'),
});

/** The database: SQLite or MySQL. */
export const database = withRules(
  z.strictObject({
    sqlite: sqlite.optional().describe('SQLite on a volume of its own.'),
    mysql: mysql.optional().describe('A MySQL or MariaDB server.'),
  }),
  [
    {
      cel: '!(has(self.sqlite) && has(self.mysql))',
      message: 'sqlite and mysql exclude each other: keep one of them',
      holds: ({ sqlite: one, mysql: other }) => one === undefined || other === undefined,
    },
  ],
  [
    {
      cel: '!has(self.sqlite) || !has(oldSelf.sqlite) || quantity(self.sqlite.size).compareTo(quantity(oldSelf.sqlite.size)) >= 0',
      message: 'sqlite.size can grow but never shrink: a volume keeps its size',
    },
    {
      cel: '!has(self.sqlite) || !has(oldSelf.sqlite) || (has(self.sqlite.storageClassName) == has(oldSelf.sqlite.storageClassName) && (!has(self.sqlite.storageClassName) || self.sqlite.storageClassName == oldSelf.sqlite.storageClassName))',
      message:
        'sqlite.storageClassName is fixed: make a new tracker with the other class and move the data, or keep this one',
    },
  ],
);

const snapshot = withRules(
  z.strictObject({
    enabled: flag(false).describe('Writes the swarms to disk, so that peers survive a restart.'),
    intervalSeconds: wholeNumber(10, 86400).default(300).describe('How often they are written.'),
    size: storageSize()
      .default(DEFAULT_STORAGE_SIZE)
      .describe('The size of the volume of a tracker without SQLite; with it, both share its volume.'),
    storageClassName: storageClass(),
  }),
  [],
  [
    {
      cel: '!self.enabled || !oldSelf.enabled || quantity(self.size).compareTo(quantity(oldSelf.size)) >= 0',
      message: 'snapshot.size can grow but never shrink: a volume keeps its size',
    },
    {
      cel: '!self.enabled || !oldSelf.enabled || (has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName))',
      message:
        'snapshot.storageClassName is fixed while snapshots are enabled: disable them first, then delete the volume',
    },
  ],
);

/** The swarms. */
export const swarm = z.strictObject({
  memory: textLike(/^(auto|[1-9][0-9]{0,5}(Mi|Gi|Ti))$/, 10)
    .default('auto')
    .describe("The most memory that peers and torrents take; auto: half of the container's limit."),
  snapshot: snapshot.prefault({}).describe('Swarms on disk.'),
});
