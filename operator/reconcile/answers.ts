/**
 * Answers of the API server that are believed for a while: whoever asks meanwhile for the same gets the same, also while the
 * question is still on its way.
 */

interface Answer<T> {
  readonly value: Promise<T>;
  readonly atMillis: number;
}

/** Answers, by what was asked for. */
export class Answers<T> {
  readonly #answers = new Map<string, Answer<T>>();
  readonly #lifeMillis: number;

  /** Each is believed for so long from the moment of its question. */
  constructor(lifeMillis: number) {
    this.#lifeMillis = lifeMillis;
  }

  /** The answer that is known, or that of `ask`. What failed is asked for again. */
  of(name: string, ask: () => Promise<T>): Promise<T> {
    const now = performance.now();
    const known = this.#answers.get(name);
    if (known !== undefined && now - known.atMillis < this.#lifeMillis) return known.value;
    // The others that are too old go with it, so that names of things that are gone do not pile up.
    for (const [other, { atMillis }] of this.#answers) {
      if (now - atMillis >= this.#lifeMillis) this.#answers.delete(other);
    }
    const value = ask();
    this.#answers.set(name, { value, atMillis: now });
    value.catch(() => {
      if (this.#answers.get(name)?.value === value) this.#answers.delete(name);
    });
    return value;
  }
}
