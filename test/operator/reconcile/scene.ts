/**
 * A cluster with an operator, and a tracker `public` in a namespace of its own, for tests of what is told of it.
 */
import type { TestContext } from 'node:test';
import type { NamedObject } from '../../apiserver/client.ts';
import type { ApiServer } from '../../apiserver/server.ts';
import { trackerObject } from '../../apiserver/trackers.ts';
import {
  makeNamespace,
  objectIn,
  type OperatorSettings,
  type RunningOperator,
  sentence,
  startOperator,
  told,
  waitForObject,
} from './running-operator.ts';

/** What is refused is tried again after fifteen seconds, on a machine that may be busy. */
const SEEN_MILLIS = 60_000;

/** A cluster with an operator and a namespace, and what a test does there. */
export interface Scene {
  readonly namespace: string;
  readonly operator: RunningOperator;
  apply(object: NamedObject): Promise<unknown>;
  tracker(spec: object): NamedObject;
  secret(name: string, stringData: Record<string, string>): NamedObject;
  /** Waits until a condition of the tracker says so. */
  sees(type: string, state: string, message?: RegExp): Promise<void>;
}

/** Starts an operator and makes a namespace for a test. */
export async function enterScene(
  context: TestContext,
  server: ApiServer,
  settings: OperatorSettings = {},
): Promise<Scene> {
  const operator = await startOperator(context, server, settings);
  const namespace = await makeNamespace(server);
  return {
    namespace,
    operator,
    apply: (object) => server.admin.apply(object),
    tracker: (spec) => trackerObject('public', spec, namespace),
    // Applied by force as a whole: what an earlier one had and this one lacks goes.
    secret: (name, stringData) => ({
      ...objectIn(namespace, 'v1', 'Secret', name),
      data: Object.fromEntries(
        Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
      ),
    }),
    async sees(type, state, message = /./) {
      const object = trackerObject('public', {}, namespace);
      let last = '';
      try {
        await waitForObject(
          server,
          object,
          `${type} is ${state}`,
          (found) => {
            last = `${told(found, type)}: ${sentence(found, type)}`;
            return told(found, type) === state && message.test(sentence(found, type));
          },
          SEEN_MILLIS,
        );
      } catch (error) {
        throw new Error(`at last it was ${last}`, { cause: error });
      }
    },
  };
}
