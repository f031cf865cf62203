/** What is told of classes and issuers that a tracker names and the cluster lacks. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeIngressClass, judgeIssuers } from '../../../operator/reconcile/class-verdicts.ts';
import type { IssuerFacts } from '../../../operator/reconcile/lookups.ts';
import { trackerOf } from '../examples.ts';

describe('Of the class of an Ingress it is told', () => {
  const TAKEN = { status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } };
  const traefik = { name: 'traefik', isDefault: false };
  const cases: Record<
    string,
    { ingress: object; object?: object; classes: { name: string; isDefault: boolean }[]; told?: RegExp }
  > = {
    'that it does not exist, and which there are': {
      ingress: { className: 'ngnix' },
      classes: [traefik],
      told: /names the IngressClass ngnix, which does not exist: .* \(there is traefik\)\.$/,
    },
    'that there is no default one': {
      ingress: {},
      classes: [traefik],
      told: /no default IngressClass, .* set spec\.exposure\.ingress\.className/,
    },
    'nothing when it exists': { ingress: { className: 'traefik' }, classes: [traefik] },
    'nothing when there is a default one': { ingress: {}, classes: [{ ...traefik, isDefault: true }] },
    'nothing when an annotation names the controller': {
      ingress: { annotations: { 'kubernetes.io/ingress.class': 'traefik' } },
      classes: [],
    },
    'nothing when somebody has taken it up': { ingress: {}, object: TAKEN, classes: [] },
  };
  for (const [title, { ingress, object = {}, classes, told }] of Object.entries(cases)) {
    test(title, () => {
      const http = [{ name: 'web', port: 7070, trustedProxies: ['10.0.0.0/8'] }];
      const tracker = trackerOf({ http, exposure: { ingress: { host: 'a.example', ...ingress } } });
      const [problem] = judgeIngressClass(tracker, object, classes);
      if (told === undefined) assert.equal(problem, undefined);
      else assert.match(problem?.message ?? '', told);
    });
  }
});

describe('Of an issuer it is told', () => {
  const issuer: IssuerFacts = { kind: 'Issuer', name: 'ca', state: 'ready', message: '' };
  const cases: Record<string, { issuer: IssuerFacts; told?: RegExp }> = {
    'that it does not exist': {
      issuer: { ...issuer, state: 'missing' },
      told: /The Issuer ca of cert-manager, .* does not exist in this namespace: create it, or correct issuerRef\./,
    },
    'that one of the cluster does not exist': {
      issuer: { ...issuer, kind: 'ClusterIssuer', state: 'missing' },
      told: /The ClusterIssuer ca .* does not exist: create it/,
    },
    'that it is not ready, and why': {
      issuer: { ...issuer, state: 'unready', message: 'no account.' },
      told: /is not ready \(no account\): see `kubectl describe issuer ca`\./,
    },
    'nothing when it is ready': { issuer },
  };
  for (const [title, { issuer: facts, told }] of Object.entries(cases)) {
    test(title, () => {
      const [problem] = judgeIssuers([facts]);
      if (told === undefined) assert.equal(problem, undefined);
      else assert.match(problem?.message ?? '', told);
    });
  }
});
