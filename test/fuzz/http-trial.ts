/**
 * One stream of bytes against the HTTP listeners of both kinds, with node:http as the judge of what is a request:
 *
 * - Each listener gives the answers that it ought to give, in their order, up to one that refuses and closes. So nobody
 *   serves a request that node:http does not see, and nobody answers one with the answer to another.
 * - The native listener gives the same answers however the bytes are cut, and node:http when they come one by one.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { exchange, type HttpAnswer, readAnswers } from './http-answers.ts';
import { HttpReference, type ReferenceAnswers } from './http-reference.ts';
import { makeTracker, openNative, type OpenListeners, openPortable } from './in-process-listeners.ts';
import type { Random } from './random.ts';
import { cutStream } from './request-streams.ts';

/** Private and without keys, so that no request changes anything; one listener by itself, one behind a proxy. */
const CONFIG = {
  core: { listed: false, private: true, database: { driver: 'sqlite3' as const } },
  http_trackers: [
    { bind_address: '127.0.0.1:0' },
    { bind_address: '127.0.0.1:0', network: { on_reverse_proxy: true } },
  ],
};
const STORE_BYTES = 2 ** 20;

export class HttpTrial {
  readonly #native: OpenListeners;
  readonly #portable: OpenListeners;
  readonly #reference: HttpReference;
  /** How many requests the native listener served, refused, and how many bytes it was sent. */
  readonly counts = { streams: 0, served: 0, refused: 0, bytes: 0 };

  private constructor(native: OpenListeners, portable: OpenListeners, reference: HttpReference) {
    this.#native = native;
    this.#portable = portable;
    this.#reference = reference;
  }

  static async open(): Promise<HttpTrial> {
    return new HttpTrial(
      openNative(makeTracker(CONFIG, STORE_BYTES)),
      await openPortable(makeTracker(CONFIG, STORE_BYTES)),
      await HttpReference.open(makeTracker(CONFIG, STORE_BYTES)),
    );
  }

  async close(): Promise<void> {
    await this.#native.close();
    await this.#portable.close();
    await this.#reference.close();
  }

  /** Tries a stream, whole and cut as `random` says. Throws an assertion that shows what was answered. */
  async judge(bytes: Buffer, random: Random): Promise<void> {
    const place = random.below(2);
    const reference = await this.#reference.answersTo(bytes, place);
    const portable = await this.#ask(this.#portable, place, [bytes]);
    judgeAnswers('node:http', portable, reference, reference.hasFault);
    const whole = await this.#ask(this.#native, place, [bytes]);
    judgeAnswers('the native listener', whole, reference, false);
    const cut = await this.#ask(this.#native, place, cutStream(random, bytes));
    assert.deepEqual(cut, whole, 'the native listener answers the same when the bytes come in pieces');
    this.counts.streams++;
    this.counts.bytes += bytes.length;
    for (const { status } of whole) {
      if (status === 200) this.counts.served++;
      else this.counts.refused++;
    }
  }

  /** Sends a stream in single bytes, too. */
  async judgeBytewise(bytes: Buffer, random: Random): Promise<void> {
    await this.judge(bytes, random);
    const single = Array.from(bytes, (byte) => Buffer.of(byte));
    const whole = await this.#ask(this.#native, 0, [bytes]);
    assert.deepEqual(await this.#ask(this.#native, 0, single), whole, 'single bytes are answered the same');
    judgeAnswers(
      'node:http with single bytes',
      await this.#ask(this.#portable, 0, single),
      await this.#reference.answersTo(bytes, 0),
      true,
    );
  }

  async #ask(listeners: OpenListeners, place: number, pieces: readonly Buffer[]): Promise<HttpAnswer[]> {
    return readAnswers(await exchange(listeners.addresses[place], pieces, listeners.step));
  }
}

/** `mayEndEarly`: node:http, when it gives a connection up, drops answers that are still to be sent. */
function judgeAnswers(
  who: string,
  answers: readonly HttpAnswer[],
  reference: ReferenceAnswers,
  mayEndEarly: boolean,
): void {
  const expected = reference.answers;
  let same = 0;
  while (same < answers.length && isDeepStrictEqual(answers[same], expected[same])) same++;
  const [last, ...more] = answers.slice(same);
  const shown = () => `${who} answers ${JSON.stringify(answers)} where ${JSON.stringify(expected)} is right`;
  if (last === undefined) {
    assert.ok(mayEndEarly || same === expected.length, shown());
    return;
  }
  // A refusal, or the right answer and an end where there might be more, as for `close` beside `keep-alive`.
  const isAllowed = last.status >= 400 || isDeepStrictEqual(last, { ...expected[same], closes: true });
  assert.ok(last.closes && isAllowed && more.length === 0, shown());
}
