/**
 * What a `TorrustTracker` tells: the schema of its status. Nothing in it changes while nothing happens, so that a
 * steady state writes nothing.
 */
import * as z from 'zod';
import { CONDITION_TYPES } from './conditions.ts';
import { generationNumber, listByKey, listOf, oneOf, text, textLike, time, wholeNumber } from './fields.ts';
import { MAX_LISTENERS } from './listeners.ts';

/** The most announce URLs that are told. */
export const MAX_ANNOUNCE_URLS = 2 * MAX_LISTENERS * 8;
/** The most addresses that are told: a tracker on many nodes has more than anybody reads. */
export const MAX_ADDRESSES = 256;

const condition = z.strictObject({
  type: oneOf(...CONDITION_TYPES).describe('What the condition is about.'),
  status: oneOf('True', 'False', 'Unknown').describe('Whether it holds.'),
  observedGeneration: generationNumber().describe('The generation of the spec that it is about.'),
  lastTransitionTime: time().describe('When the status last changed.'),
  reason: textLike(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/, 64).describe('A fixed word for programs.'),
  message: z.string().max(4096).describe('A sentence for people.'),
});

const address = z.strictObject({
  protocol: oneOf('UDP', 'TCP').describe('The protocol.'),
  address: text(253).describe('An IP address or a host name.'),
  port: wholeNumber(1, 65535).describe('The port.'),
  listener: text(63).describe('The listener that it leads to.'),
});

const certificate = z.strictObject({
  listener: text(63).describe('The listener, or api.'),
  secretName: text(253).describe('The Secret that holds it.'),
  notAfter: time().describe('When it expires.'),
});

const probe = z.strictObject({
  outcome: oneOf('Succeeded', 'Failed', 'Unreachable').describe('What came of it.'),
  message: z.string().max(2048).describe('What was answered, or what went wrong.'),
  time: time().describe('When this outcome was first seen.'),
});

/** `status` of a `TorrustTracker`. */
export const trackerStatus = z.strictObject({
  observedGeneration: generationNumber()
    .optional()
    .describe('The generation of the spec that the status is about.'),
  replicas: wholeNumber(0, 100000).optional().describe('Pods that there are.'),
  readyReplicas: wholeNumber(0, 100000).optional().describe('Pods that are ready.'),
  selector: text(512).optional().describe('The selector of the pods, for the scale subresource.'),
  announceURLs: listOf(text(1024), MAX_ANNOUNCE_URLS).optional().describe('What to give to clients.'),
  addresses: listOf(address, MAX_ADDRESSES).optional().describe('Addresses of the listeners.'),
  configHash: text(64).optional().describe('The hash of the configuration that is applied.'),
  certificates: listByKey(certificate, 'listener', MAX_LISTENERS + 1)
    .optional()
    .describe('Certificates and their end.'),
  versions: z
    .strictObject({
      operator: text(64).optional().describe('The operator that last wrote this.'),
      image: text(512).optional().describe("The tracker's image."),
    })
    .optional()
    .describe('What runs.'),
  probe: probe.optional().describe('The outcome of the last probe; its time changes with the outcome only.'),
  conditions: listByKey(condition, 'type', 32).optional().describe('The state, condition by condition.'),
});

/** `status` of a tracker. */
export type TrackerStatus = z.output<typeof trackerStatus>;
/** One condition. */
export type Condition = z.output<typeof condition>;
