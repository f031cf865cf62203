/**
 * Every Secret that a tracker's pods, or its Ingress, read: whose it is, which keys of it, where in the pod they are, and
 * which condition tells when it can't be used. Secrets are mounted as directories and never as variables or by `subPath`, since only a
 * directory follows a change.
 */
import type { ConditionType } from '../crd/conditions.ts';
import type { TlsSource } from '../crd/listeners.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { type CertificateTarget, namesOf } from './identity.ts';
import type { Volume, VolumeMount } from './kubernetes-object.ts';

const SECRETS_FOLDER = '/run/secrets/torrust';
/** Readable by the owner and the group, which is that of the tracker (`fsGroup`). */
const SECRET_FILE_MODE = 0o440;

/** One Secret, and what is read of it. */
export interface ReadSecret {
  readonly kind:
    'api_token' | 'database_credentials' | 'database_authority' | 'connection_keys' | 'certificate';
  /** The Secret. */
  readonly name: string;
  /** Who makes it: the user, this operator, or cert-manager. */
  readonly source: 'user' | 'operator' | 'cert_manager';
  /** What the user wrote it in, for sentences. */
  readonly field: string;
  /** The keys that are read, and the names of their files. */
  readonly files: readonly { readonly key: string; readonly file: string }[];
  readonly condition: ConditionType;
  /** What the certificate of a listener is for. */
  readonly target?: CertificateTarget;
}

/** One that is mounted into the pods. */
export interface SecretUse extends ReadSecret {
  /** The directory in the pod. */
  readonly folder: string;
  readonly volume: string;
}

/** A certificate that a listener needs. */
export interface CertificateUse {
  readonly target: CertificateTarget;
  readonly tls: TlsSource;
  readonly publicUrl: string | undefined;
}

/** The directory of the tokens of the REST API: the name of a file is the token's label. */
export const API_TOKENS_FOLDER = `${SECRETS_FOLDER}/api-tokens`;
/** The user and password of the database. */
export const DATABASE_USER_FILE = `${SECRETS_FOLDER}/database/username`;
export const DATABASE_PASSWORD_FILE = `${SECRETS_FOLDER}/database/password`;
/** The authorities of the database's certificate. */
export const DATABASE_AUTHORITY_FILE = `${SECRETS_FOLDER}/database-ca/ca.crt`;
/** The keys of connection ids. */
export const CONNECTION_KEYS_FILE = `${SECRETS_FOLDER}/connection-id/keys`;
/** The key of the Secret that holds them. */
export const CONNECTION_KEYS_KEY = 'keys';
/** The key of the Secret of a generated token, which is its label too. */
export const API_TOKEN_KEY = 'admin';

/** The directory of a certificate and its key. */
export function certificateFolder(target: CertificateTarget): string {
  return `${SECRETS_FOLDER}/tls/${describeTarget(target)}`;
}

/** `api`, or `http-` and the name of the listener. */
export function describeTarget(target: CertificateTarget): string {
  return target.kind === 'api' ? 'api' : `http-${target.listener}`;
}

/** The certificates that a tracker's listeners need, by the names of the listeners, the REST API last. */
export function certificateUses({ spec }: TorrustTracker): CertificateUse[] {
  const uses = spec.http
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap(({ name, tls, publicURL }): CertificateUse[] =>
      tls === undefined ? [] : [{ target: { kind: 'http', listener: name }, tls, publicUrl: publicURL }],
    );
  const { tls } = spec.api;
  return tls === undefined ? uses : [...uses, { target: { kind: 'api' }, tls, publicUrl: undefined }];
}

/** Every Secret that the pods of a tracker read. */
export function secretUses(tracker: TorrustTracker): SecretUse[] {
  const { spec } = tracker;
  const names = namesOf(tracker);
  const uses: SecretUse[] = [];
  const { tokenSecretRef } = spec.api;
  uses.push({
    kind: 'api_token',
    name: tokenSecretRef?.name ?? names.apiToken,
    source: tokenSecretRef === undefined ? 'operator' : 'user',
    field: 'spec.api.tokenSecretRef',
    // Of a Secret of the user's only the key that is named: its other keys are no tokens.
    files: [{ key: tokenSecretRef?.key ?? API_TOKEN_KEY, file: API_TOKEN_KEY }],
    folder: API_TOKENS_FOLDER,
    volume: 'api-tokens',
    condition: 'ConfigValid',
  });
  if (spec.udp.length > 0) {
    uses.push({
      kind: 'connection_keys',
      name: names.connectionKeys,
      source: 'operator',
      field: 'spec.connectionId',
      files: [{ key: CONNECTION_KEYS_KEY, file: 'keys' }],
      folder: `${SECRETS_FOLDER}/connection-id`,
      volume: 'connection-id',
      condition: 'ConfigValid',
    });
  }
  const mysql = spec.database?.mysql;
  if (mysql !== undefined) {
    uses.push({
      kind: 'database_credentials',
      name: mysql.credentialsSecretRef.name,
      source: 'user',
      field: 'spec.database.mysql.credentialsSecretRef',
      files: ['username', 'password'].map((key) => ({ key, file: key })),
      folder: `${SECRETS_FOLDER}/database`,
      volume: 'database',
      condition: 'DatabaseReady',
    });
    const authority = mysql.tls?.caSecretRef;
    if (authority !== undefined) {
      uses.push({
        kind: 'database_authority',
        name: authority.name,
        source: 'user',
        field: 'spec.database.mysql.tls.caSecretRef',
        files: [{ key: authority.key, file: 'ca.crt' }],
        folder: `${SECRETS_FOLDER}/database-ca`,
        volume: 'database-ca',
        condition: 'DatabaseReady',
      });
    }
  }
  return [
    ...uses,
    ...certificateUses(tracker).map(({ target, tls }) => useOfCertificate(tracker, target, tls)),
  ];
}

/** Every Secret that somebody reads for a tracker: its pods, and who serves its Ingress. */
export function readSecrets(tracker: TorrustTracker): ReadSecret[] {
  const { tlsSecretName, annotations } = tracker.spec.exposure.ingress ?? {};
  if (tlsSecretName === undefined) return secretUses(tracker);
  // By such an annotation cert-manager makes the Secret that an Ingress names.
  const isIssued = Object.keys(annotations ?? {}).some((name) => name.startsWith('cert-manager.io/'));
  const ofIngress: ReadSecret = {
    kind: 'certificate',
    name: tlsSecretName,
    source: isIssued ? 'cert_manager' : 'user',
    field: 'spec.exposure.ingress.tlsSecretName',
    files: ['tls.crt', 'tls.key'].map((key) => ({ key, file: key })),
    condition: 'ExposureReady',
  };
  return [...secretUses(tracker), ofIngress];
}

function useOfCertificate(tracker: TorrustTracker, target: CertificateTarget, tls: TlsSource): SecretUse {
  const field = target.kind === 'api' ? 'spec.api.tls' : `spec.http[${target.listener}].tls`;
  return {
    kind: 'certificate',
    name: tls.secretName ?? namesOf(tracker).certificate(target),
    source:
      tls.secretName !== undefined ? 'user' : tls.certManager !== undefined ? 'cert_manager' : 'operator',
    field: tls.secretName === undefined ? field : `${field}.secretName`,
    files: ['tls.crt', 'tls.key'].map((key) => ({ key, file: key })),
    folder: certificateFolder(target),
    volume: `tls-${describeTarget(target)}`,
    condition: 'CertificatesReady',
    target,
  };
}

/** The volume of a Secret. */
export function secretVolume({ volume, name, files }: SecretUse): Volume {
  const items = files.map(({ key, file }) => ({ key, path: file }));
  return { name: volume, secret: { secretName: name, defaultMode: SECRET_FILE_MODE, items } };
}

/** Where the tracker's container sees it. */
export function secretMount({ volume, folder }: SecretUse): VolumeMount {
  return { name: volume, mountPath: folder, readOnly: true };
}
