/**
 * What the files say that a configuration names: read all together at the start, and each again when it changes. The
 * record holds what is in force.
 */
import { randomBytes } from 'node:crypto';
import type { ApiServer } from '../api/server.ts';
import { readTlsPair } from './certificate-files.ts';
import type { TrackerConfig } from '../config/schema.ts';
import { readApiTokens } from '../config/secrets.ts';
import { readConnectionKeys } from './connection-key-file.ts';
import type { ConnectionKeys } from '../connection-keys.ts';
import { databaseOptions } from './database-options.ts';
import { loginInput } from './database-start.ts';
import type { Database } from '../db/client.ts';
import type { DatabaseOptions } from '../db/model.ts';
import { readTrackerCertificate, readTrackerCertificates } from './listener-setups.ts';
import { createLiveInput, type LiveInput } from './live-input.ts';
import type { TlsPair } from '../net/listener.ts';

/** Bytes of a key of connection ids. */
const KEY_BYTES = 16;

export interface Inputs {
  /** The tokens of the REST API by their labels. */
  apiTokens: ReadonlyMap<string, string>;
  /** How to open the database; null: there is none. */
  readonly database: DatabaseOptions | null;
  /** The keys of connection ids, the signing one first; null: a random one. */
  readonly connectionKeys: readonly Buffer[] | null;
  /** The certificates of the HTTP trackers in their order, null for plain HTTP. */
  readonly trackerCertificates: (TlsPair | null)[];
  /** The certificate of the REST API; null for plain HTTP. */
  apiCertificate: TlsPair | null;
}

/** What takes over changed inputs. */
export interface InputUsers {
  readonly connectionKeys: ConnectionKeys;
  readonly database: Database | null;
  readonly api: ApiServer | null;
}

/** Reads everything. Throws `ConfigError` or `StartError`. */
export function readInputs(config: TrackerConfig): Inputs {
  return {
    apiTokens: readApiTokens(config),
    database: databaseOptions(config),
    connectionKeys: readConnectionKeys(config),
    trackerCertificates: readTrackerCertificates(config),
    apiCertificate: readApiCertificate(config),
  };
}

/** The inputs whose paths may change live, and those whose content alone may: the certificates. */
export function liveInputs(
  config: TrackerConfig,
  inputs: Inputs,
  { connectionKeys, database, api }: InputUsers,
): { readonly inputs: readonly LiveInput[]; readonly certificates: readonly LiveInput[] } {
  const tokens = createLiveInput({
    title: 'The tokens of the REST API',
    initial: inputs.apiTokens,
    read: readApiTokens,
    apply: (changed) => (inputs.apiTokens = changed),
  });
  const keys = createLiveInput({
    title: 'The keys of connection ids',
    initial: inputs.connectionKeys,
    read: readConnectionKeys,
    apply: (changed) => connectionKeys.set(changed ?? [randomBytes(KEY_BYTES)]),
  });
  const trackerCertificates = inputs.trackerCertificates.map((initial, index) =>
    createLiveInput({
      title: `The certificate of http_trackers[${index}]`,
      initial,
      read: (from) => readTrackerCertificate(from.http_trackers[index]),
      apply: (changed) => (inputs.trackerCertificates[index] = changed),
    }),
  );
  const apiCertificate = createLiveInput({
    title: 'The certificate of the REST API',
    initial: inputs.apiCertificate,
    read: readApiCertificate,
    apply: (changed) => {
      if (changed !== null) api?.updateTls({ cert: changed.certificate, key: changed.key });
      inputs.apiCertificate = changed;
    },
  });
  return {
    inputs: [tokens, keys, loginInput(database, config)],
    certificates: [...trackerCertificates, apiCertificate],
  };
}

function readApiCertificate({ http_api: api }: TrackerConfig): TlsPair | null {
  return api?.tls_config === undefined ? null : readTlsPair('The REST API', api.tls_config);
}
