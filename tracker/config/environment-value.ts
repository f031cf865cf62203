/**
 * Values in environment variables, typed by their shape as Torrust's loader (figment 0.10) does it: `true` and
 * `false`, numbers, `"quoted"` texts, `[lists]` and `{key = value}` tables; whatever is none of these is a text.
 */
import type { TomlTable, TomlValue } from './toml.ts';

/** Thrown inside this module when a text is no list, table or quoted text after all. */
class NotAValue extends Error {}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '"': '"',
  "'": "'",
  '\\': '\\',
};
const integerPattern = /^[+-]?\d+$/;
const floatPattern = /^[+-]?(?:\d+\.\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const separators = ',{}[]';

/** Reads a variable's text. Never throws: what has no other shape is the text itself. */
export function parseEnvironmentValue(text: string): TomlValue {
  const reader = new Reader(text);
  try {
    const value = reader.value();
    reader.skipSpace();
    return reader.atEnd ? value : text;
  } catch (error) {
    if (error instanceof NotAValue) return text;
    throw error;
  }
}

/** Walks over a text from left to right. */
class Reader {
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#position >= this.#text.length;
  }

  value(): TomlValue {
    this.skipSpace();
    switch (this.#text[this.#position]) {
      case '[':
        return this.#list();
      case '{':
        return this.#table();
      case '"':
      case "'":
        return this.#quoted();
      default:
        return scalar(this.#bare());
    }
  }

  skipSpace(): void {
    while (/\s/.test(this.#text[this.#position] ?? '')) this.#position += 1;
  }

  #list(): TomlValue[] {
    const list: TomlValue[] = [];
    this.#expect('[');
    while (!this.#take(']')) {
      list.push(this.value());
      if (!this.#take(',')) {
        this.#expect(']');
        break;
      }
    }
    return list;
  }

  #table(): TomlTable {
    const entries: [string, TomlValue][] = [];
    this.#expect('{');
    while (!this.#take('}')) {
      const name = this.#name();
      this.#expect('=');
      entries.push([name, this.value()]);
      if (!this.#take(',')) {
        this.#expect('}');
        break;
      }
    }
    return Object.fromEntries(entries);
  }

  #name(): string {
    this.skipSpace();
    if (this.#text[this.#position] === '"') return this.#quoted();
    const [name] = /^[\w-]+/.exec(this.#text.slice(this.#position)) ?? [];
    if (name === undefined) throw new NotAValue();
    this.#position += name.length;
    return name;
  }

  #quoted(): string {
    const quote = this.#text[this.#position];
    let out = '';
    for (let index = this.#position + 1; index < this.#text.length; index += 1) {
      const character = this.#text[index] ?? '';
      if (character === quote) {
        this.#position = index + 1;
        return out;
      }
      if (character === '\\') {
        index += 1;
        const escaped = escapes[this.#text[index] ?? ''];
        if (escaped === undefined) throw new NotAValue();
        out += escaped;
      } else {
        out += character;
      }
    }
    throw new NotAValue();
  }

  #bare(): string {
    const start = this.#position;
    while (!this.atEnd && !separators.includes(this.#text[this.#position] ?? '')) this.#position += 1;
    return this.#text.slice(start, this.#position).trim();
  }

  #take(character: string): boolean {
    this.skipSpace();
    if (this.#text[this.#position] !== character) return false;
    this.#position += 1;
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw new NotAValue();
  }
}

function scalar(text: string): TomlValue {
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (integerPattern.test(text) && Number.isSafeInteger(Number(text))) return Number(text);
  if (floatPattern.test(text)) return Number(text);
  return text;
}
