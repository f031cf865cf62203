/**
 * Makes key material: fulfils the orders of `desired/generated-secrets.ts` with random tokens and keys, and with
 * certificates (ECDSA P-256) of an authority of the tracker's own.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { createApiToken } from '../tracker/config/generate.ts';
import type { Material, SecretOrder } from './desired/generated-secrets.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SERIAL_BYTES = 16;
const CONNECTION_KEY_BYTES = 16;
const DAY_MILLIS = 86_400_000;
/** Certificates begin a little before they are made, for clocks that are late. */
const CLOCK_SKEW_MILLIS = 5 * 60_000;

/** A pair in PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Fulfils orders, one after the other. `authorities` are the pairs that are there already, by the names of their Secrets;
 * an authority that is on order itself is used for the certificates after it. Rejects when an authority can't be read.
 */
export async function makeMaterials(
  orders: readonly SecretOrder[],
  authorities: ReadonlyMap<string, Pair>,
  now: Date,
): Promise<Map<string, Material>> {
  const materials = new Map<string, Material>();
  for (const order of orders) {
    const pairs = new Map(authorities);
    for (const [name, material] of materials) if (material.kind === 'pair') pairs.set(name, material);
    materials.set(order.name, await makeMaterial(order, pairs, now));
  }
  return materials;
}

async function makeMaterial(
  order: SecretOrder,
  pairs: ReadonlyMap<string, Pair>,
  now: Date,
): Promise<Material> {
  switch (order.kind) {
    case 'token':
      return { kind: 'token', token: createApiToken() };
    case 'connection_key':
      return {
        kind: 'connection_key',
        // The time tells people which key is which.
        id: `${now.toISOString().replace(/[-:]|\.\d+/g, '')}-${randomBytes(2).toString('hex')}`,
        hex: randomBytes(CONNECTION_KEY_BYTES).toString('hex'),
      };
    case 'authority':
      return { kind: 'pair', ...(await makeAuthority(order.commonName, validity(order.days, now))) };
    case 'certificate': {
      const authority = pairs.get(order.authority);
      if (authority === undefined) throw new Error(`the authority ${order.authority} is not there`);
      const names = [
        ...order.dnsNames.map((value) => ({ type: 'dns', value }) as const),
        ...order.ipAddresses.map((value) => ({ type: 'ip', value }) as const),
      ];
      return { kind: 'pair', ...(await makeCertificate(names, authority, validity(order.days, now))) };
    }
  }
}

interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

function validity(days: number, now: Date): Validity {
  return {
    notBefore: new Date(now.getTime() - CLOCK_SKEW_MILLIS),
    notAfter: new Date(now.getTime() + days * DAY_MILLIS),
  };
}

async function makeAuthority(commonName: string, period: Validity): Promise<Pair> {
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...period,
      keys,
      serialNumber: serialNumber(),
      name: [{ CN: [commonName] }],
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

async function makeCertificate(
  names: readonly { readonly type: 'dns' | 'ip'; readonly value: string }[],
  authority: Pair,
  period: Validity,
): Promise<Pair> {
  const issuer = new X509Certificate(authority.certificate);
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.create(
    {
      ...period,
      serialNumber: serialNumber(),
      // The name stands in the alternative names, the only ones that clients look at.
      subject: [{ O: ['torrust-operator'] }],
      issuer: issuer.subject,
      publicKey: keys.publicKey,
      signingKey: await importKey(authority.key),
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension([...names]),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

function makeKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

/** RFC 5280 wants a positive number of at most twenty octets. */
function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = PemConverter.decode(pem);
  if (der === undefined) throw new Error('the key of the authority is not in PEM');
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}
