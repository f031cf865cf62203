/**
 * What is wrong with a configuration, in a form that a person can act on.
 *
 * All mistakes are collected and told at once. A text never holds the value of a secret, nor anything that could be one.
 */

/** The catalogue of everything that can be wrong before the tracker starts. */
export type ConfigErrorCode =
  /** A file that an option or a variable names does not exist. */
  | 'file_missing'
  /** A file exists and cannot be read. */
  | 'file_unreadable'
  /** The default file is missing and cannot be written, for another reason than a read-only folder. */
  | 'file_unwritable'
  /** The text is not TOML. */
  | 'toml_syntax'
  /** `metadata.schema_version` names a layout that this tracker does not know. */
  | 'unsupported_version'
  /** Keys or values are wrong; `problems` lists all of them. */
  | 'invalid'
  /** A file that holds a secret is missing, unreadable or empty. */
  | 'secret_unreadable';

/** One mistake. */
export interface ConfigProblem {
  /** Where it stands: a file's path or a variable's name. */
  readonly origin: string;
  /** The key, such as `udp_trackers[0].bind_address`. */
  readonly path: string;
  /** What is wrong: a predicate of the key, such as `is 0` or `is not a known key`, or a whole sentence. */
  readonly says: string;
  /** What is allowed, in words. */
  readonly allowed?: string;
  /** What was probably meant, or what helps. */
  readonly hint?: string;
}

/** A configuration that cannot be used. The message is complete: print it and exit with 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code: ConfigErrorCode;
  /** The mistakes one by one; empty unless the code is `invalid`. */
  readonly problems: readonly ConfigProblem[];

  constructor(
    code: ConfigErrorCode,
    message: string,
    details: { readonly problems?: readonly ConfigProblem[]; readonly cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.code = code;
    this.problems = details.problems ?? [];
  }
}

/** The error that lists all mistakes of one configuration. */
export function invalidConfig(problems: readonly ConfigProblem[]): ConfigError {
  const head =
    problems.length === 1
      ? 'The configuration has a mistake:'
      : `The configuration has ${problems.length} mistakes:`;
  return new ConfigError('invalid', [head, ...problems.map(describeProblem)].join('\n'), { problems });
}

/** A path as it is printed: `udp_trackers[0].network.external_ip`. Names that TOML would quote are quoted. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((name, index) => {
      if (typeof name === 'number') return `[${name}]`;
      const text = /^[\w[\]-]+$/.test(String(name)) ? String(name) : JSON.stringify(String(name));
      return index === 0 ? text : `.${text}`;
    })
    .join('');
}

/**
 * A value as it is printed in an error: short, on one line, and only when it is a plain one. What a table or a list
 * holds stays hidden, since a secret may be among it.
 */
export function formatGiven(value: unknown): string {
  switch (typeof value) {
    case 'string': {
      const quoted = JSON.stringify(value);
      return quoted.length <= 100 ? quoted : `${quoted.slice(0, 96)}..."`;
    }
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value);
    default:
      return formatKind(value);
  }
}

/** The kind of a value, for a secret one. */
export function formatKind(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  switch (typeof value) {
    case 'string':
      return 'a text';
    case 'number':
    case 'bigint':
      return 'a number';
    case 'boolean':
      return 'a truth value';
    default:
      return 'a table';
  }
}

function describeProblem({ origin, path, says, allowed, hint }: ConfigProblem): string {
  const lines = [`  ${origin}: ${path} ${says}`];
  if (allowed !== undefined) lines.push(`      allowed: ${allowed}`);
  if (hint !== undefined) lines.push(`      ${hint}`);
  return lines.join('\n');
}
