/**
 * Amounts as Kubernetes writes them: sizes, CPUs, counts.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */

const unitFactors: Readonly<Record<string, number>> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** An amount as a number; undefined for another text. */
export function readQuantity(text: string): number | undefined {
  const [, digits, unit = ''] = /^([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)$/.exec(text) ?? [];
  const factor = unitFactors[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}
