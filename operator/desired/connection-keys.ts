/**
 * The keys of connection ids and their rotation, as one Secret that all pods of a tracker read.
 *
 * One key a line, `ID:HEX`; every key verifies, the one whose line begins with `*` signs. Kubelets deliver a changed Secret up
 * to ninety seconds apart, so that a key is replaced in three steps: the next key is added; when every pod has it, it
 * signs; when the ids of the former one have expired, that goes. A pod thus never sees an id whose key it does not know.
 * Where the rotation is, and since when, stands in annotations of the Secret.
 */

/** One key. */
export interface ConnectionKey {
  readonly id: string;
  /** 32 hex digits. */
  readonly hex: string;
  readonly signs: boolean;
}

/** Where a rotation is. */
export interface RotationState {
  readonly keys: readonly ConnectionKey[];
  readonly step: RotationStep;
  /** When this step was reached. */
  readonly since: Date;
}

/** `added`: the next key verifies and does not sign yet. `promoted`: it signs, the former key still verifies. */
export type RotationStep =
  { readonly kind: 'stable' } | { readonly kind: 'added' | 'promoted'; readonly keyId: string };

/** What is to be done now. */
export type RotationDecision =
  /** There is no usable key set: a new one is made around a new key. */
  | { readonly kind: 'create' }
  /** A new key is to be added. */
  | { readonly kind: 'add'; readonly state: RotationState }
  /** The state, after what could be done without a new key, and when to look again. */
  | { readonly kind: 'keep'; readonly state: RotationState; readonly nextAt: Date };

/** How a tracker's keys rotate. */
export interface RotationSettings {
  readonly rotationHours: number;
  /** How long a connection id is accepted. */
  readonly lifetimeSeconds: number;
}

/** The most keys that a tracker takes. */
const MAX_KEYS = 16;
/** Long enough for every kubelet to deliver a changed Secret. */
const DELIVERY_MILLIS = 5 * 60_000;
const HOUR_MILLIS = 3_600_000;
const linePattern = /^(\*?)([A-Za-z0-9._-]{1,64}):([0-9A-Fa-f]{32})$/;

/** Reads a key set; undefined when a tracker would not take it. */
export function parseKeySet(text: string): ConnectionKey[] | undefined {
  const keys: ConnectionKey[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, star, id, hex] = linePattern.exec(line) ?? [];
    if (id === undefined || hex === undefined) return undefined;
    keys.push({ id, hex, signs: star === '*' });
  }
  if (keys.filter(({ signs }) => signs).length !== 1 || keys.length > MAX_KEYS) return undefined;
  return keys;
}

/** Writes a key set. */
export function formatKeySet(keys: readonly ConnectionKey[]): string {
  return keys.map(({ id, hex, signs }) => `${signs ? '*' : ''}${id}:${hex}\n`).join('');
}

/** The text of a step for its annotation. */
export function formatStep(step: RotationStep): string {
  return step.kind === 'stable' ? 'stable' : `${step.kind}:${step.keyId}`;
}

/**
 * Reads the state of a rotation from a Secret. A key set without a step that fits it, as after an edit by hand, is stable
 * from now on. Undefined when the key set can't be used.
 */
export function readRotation(
  text: string | undefined,
  stepText: string | undefined,
  timeText: string | undefined,
  now: Date,
): RotationState | undefined {
  const keys = text === undefined ? undefined : parseKeySet(text);
  if (keys === undefined) return undefined;
  const since = new Date(timeText ?? Number.NaN);
  const step = parseStep(stepText ?? '');
  const fits = step?.kind === 'stable' || keys.some(({ id, signs }) => id === step?.keyId && !signs);
  if (step === undefined || !fits || Number.isNaN(since.getTime())) {
    return { keys, step: { kind: 'stable' }, since: now };
  }
  // A clock that was set back must not hold a rotation for good.
  return { keys, step, since: since > now ? now : since };
}

function parseStep(text: string): RotationStep | undefined {
  if (text === 'stable') return { kind: 'stable' };
  const [, kind, keyId] = /^(added|promoted):(.+)$/.exec(text) ?? [];
  if (keyId === undefined) return undefined;
  return { kind: kind === 'added' ? 'added' : 'promoted', keyId };
}

/** Decides what is to be done with a key set; undefined stands for none that can be used. */
export function decideRotation(
  state: RotationState | undefined,
  settings: RotationSettings,
  now: Date,
): RotationDecision {
  if (state === undefined) return { kind: 'create' };
  const dueAt = new Date(state.since.getTime() + stepMillis(state.step, settings));
  if (now < dueAt) return { kind: 'keep', state, nextAt: dueAt };
  const { step, keys } = state;
  switch (step.kind) {
    case 'stable':
      if (keys.length < MAX_KEYS) return { kind: 'add', state };
      return { kind: 'keep', state, nextAt: new Date(now.getTime() + HOUR_MILLIS) };
    case 'added': {
      const former = keys.find(({ signs }) => signs)?.id ?? '';
      return keep(
        {
          keys: keys.map((key) => ({ ...key, signs: key.id === step.keyId })),
          step: { kind: 'promoted', keyId: former },
          since: now,
        },
        settings,
      );
    }
    case 'promoted':
      return keep(
        { keys: keys.filter(({ id }) => id !== step.keyId), step: { kind: 'stable' }, since: now },
        settings,
      );
  }
}

function keep(state: RotationState, settings: RotationSettings): RotationDecision {
  return { kind: 'keep', state, nextAt: new Date(state.since.getTime() + stepMillis(state.step, settings)) };
}

/** The state with a new key: the first of a set signs at once, any other waits. */
export function addKey(
  state: RotationState | undefined,
  key: { readonly id: string; readonly hex: string },
  now: Date,
): RotationState {
  if (state === undefined) return { keys: [{ ...key, signs: true }], step: { kind: 'stable' }, since: now };
  return {
    keys: [...state.keys, { ...key, signs: false }],
    step: { kind: 'added', keyId: key.id },
    since: now,
  };
}

/** How long a step lasts. */
function stepMillis({ kind }: RotationStep, { rotationHours, lifetimeSeconds }: RotationSettings): number {
  switch (kind) {
    case 'stable':
      return rotationHours * HOUR_MILLIS;
    case 'added':
      return DELIVERY_MILLIS;
    case 'promoted':
      // The former key signs until its pod has seen the change, and what it signed is accepted for a lifetime more.
      return Math.max(2 * lifetimeSeconds * 1000, DELIVERY_MILLIS);
  }
}
