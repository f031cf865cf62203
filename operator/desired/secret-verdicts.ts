/**
 * Judges the Secrets that a tracker reads and that others make: what is missing, half-filled or can't be used becomes a
 * problem with a sentence that says what to do; certificates tell when they end. No sentence holds what is in a Secret.
 */
import { X509Certificate } from 'node:crypto';
import { token as tokenField } from '../../tracker/config/fields.ts';
import type { Problem, Reason } from '../crd/conditions.ts';
import type { TorrustTracker } from '../crd/tracker.ts';
import { judgePair } from './certificates.ts';
import type { Observed, ObservedSecret } from './environment.ts';
import { describeTarget, type ReadSecret, readSecrets } from './secret-uses.ts';

/** The end of one certificate. */
export interface CertificateFacts {
  /** `api`, or `http-` and the name of the listener. */
  readonly listener: string;
  readonly secretName: string;
  readonly notAfter: Date;
}

/** What was found. */
export interface SecretVerdicts {
  readonly problems: readonly Problem[];
  /** Those that can be read, in the order of the listeners. */
  readonly certificates: readonly CertificateFacts[];
}

/** Judges the Secrets of a tracker as they are there. */
export function judgeSecrets(tracker: TorrustTracker, observed: Observed, now: Date): SecretVerdicts {
  const problems: Problem[] = [];
  const certificates: CertificateFacts[] = [];
  for (const use of readSecrets(tracker)) {
    const secret = observed.secrets.get(use.name);
    const problem = judgeUse(use, secret, now);
    if (problem !== undefined) problems.push(problem);
    const notAfter = use.kind === 'certificate' ? endOf(secret) : undefined;
    if (notAfter !== undefined && use.target !== undefined) {
      certificates.push({ listener: describeTarget(use.target), secretName: use.name, notAfter });
    }
  }
  return { problems, certificates };
}

function judgeUse(use: ReadSecret, secret: ObservedSecret | undefined, now: Date): Problem | undefined {
  // What the operator makes, it mends; only what others make can be a user's problem.
  if (use.source === 'operator') return undefined;
  const say = (reason: Reason, message: string): Problem => ({ condition: use.condition, reason, message });
  if (secret === undefined) {
    return use.source === 'cert_manager'
      ? say(
          'CertificatePending',
          `cert-manager has not issued the Secret ${use.name} yet: look at the Certificate of that name.`,
        )
      : say(
          'SecretMissing',
          `${use.field} names the Secret ${use.name}, which does not exist: create it with ${nameKeys(use)}.`,
        );
  }
  const lacking = use.files.map(({ key }) => key).filter((key) => (secret.data.get(key) ?? '') === '');
  if (lacking.length > 0) {
    return say(
      'SecretIncomplete',
      `The Secret ${use.name} of ${use.field} lacks ${lacking.join(' and ')}: it needs ${nameKeys(use)}.`,
    );
  }
  return judgeContent(use, secret, now, say);
}

function judgeContent(
  use: ReadSecret,
  { data }: ObservedSecret,
  now: Date,
  say: (reason: Reason, message: string) => Problem,
): Problem | undefined {
  const [first] = use.files;
  const value = data.get(first?.key ?? '') ?? '';
  switch (use.kind) {
    case 'api_token':
      // The tracker drops the line end that editors leave.
      return tokenField().safeParse(value.replace(/[\r\n]+$/, '')).success
        ? undefined
        : say(
            'SecretInvalid',
            `The Secret ${use.name} of ${use.field} holds a token that no header can carry: use printable ASCII characters, without spaces at its ends.`,
          );
    case 'database_authority':
      return isCertificate(value)
        ? undefined
        : say(
            'SecretInvalid',
            `The Secret ${use.name} of ${use.field} holds no certificate in PEM: put that of the server's authority into its key ${first?.key ?? ''}.`,
          );
    case 'certificate': {
      const verdict = judgePair(data.get('tls.crt') ?? '', data.get('tls.key') ?? '', now);
      if (verdict.kind === 'usable') return undefined;
      if (verdict.kind === 'unusable') {
        return say(
          'SecretInvalid',
          `The Secret ${use.name} of ${use.field} can not be served: ${verdict.reason}. Put a certificate and its own key into it; they are served without a restart.`,
        );
      }
      return say(
        'CertificateExpired',
        `The certificate in the Secret ${use.name} of ${use.field} expired at ${verdict.certificate.validToDate.toISOString()}: renew it; a new one is served without a restart.`,
      );
    }
    case 'database_credentials':
    case 'connection_keys':
      return undefined;
  }
}

function nameKeys({ files }: ReadSecret): string {
  const keys = files.map(({ key }) => key);
  return keys.length === 1 ? `the key ${keys.join('')}` : `the keys ${keys.join(' and ')}`;
}

function isCertificate(pem: string): boolean {
  return endOf({ data: new Map([['tls.crt', pem]]), annotations: {} }) !== undefined;
}

function endOf(secret: ObservedSecret | undefined): Date | undefined {
  try {
    return new X509Certificate(secret?.data.get('tls.crt') ?? '').validToDate;
  } catch {
    return undefined;
  }
}
