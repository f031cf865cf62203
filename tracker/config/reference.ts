/**
 * Writes the reference page of the configuration, `docs/configuration.md`, from the schema.
 *
 * `node tracker/config/reference.ts --write` writes the page, without the option it is printed. A test holds the page current.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConfigError } from './errors.ts';
import { overrideName } from './overrides.ts';
import { listKeys, listSections, type ConfigKey } from './schema-tree.ts';
import { parseToml } from './toml.ts';
import { validateConfig } from './validation.ts';

/** Where the page is. */
export const referencePath = fileURLToPath(new URL('../../docs/configuration.md', import.meta.url));

/** A file with three mistakes, whose errors the page shows. */
const mistakenFile = `[metadata]
schema_version = "3.0.0"

[logging]
trace_filter = "verbose"

[core]
listed = false
private = false

[core.anounce_policy]
interval = 300

[core.announce_policy]
interval = 0
`;

/** The text of the page. */
export function renderReference(): string {
  const keys = listKeys();
  const sections = listSections();
  const parts = [introduction(), table(keys)];
  const named = sections.filter(({ path }) => keys.some((key) => isDirectlyIn(key, path)));
  for (const { path, description } of named) {
    parts.push(`## \`${path.join('.')}\``);
    if (description !== undefined) parts.push(description);
    for (const key of keys.filter((candidate) => isDirectlyIn(candidate, path))) parts.push(describeKey(key));
  }
  return `${parts.join('\n\n')}\n`;
}

function introduction(): string {
  return `<!-- Written by tracker/config/reference.ts from the schema: change the schema, not this page. -->

# Configuration

The tracker reads one TOML file. A minimal one, which starts a UDP tracker and keeps everything else at its default:

\`\`\`toml
[metadata]
schema_version = "3.0.0"

[logging]
trace_filter = "info"

[core]
listed = false
private = false

[[udp_trackers]]
bind_address = "0.0.0.0:6969"
\`\`\`

A table of a service that is absent is a service that is not started; only the health check always is.

## Sources and their order

The first of these that is there is the configuration:

1. the file that the command names: \`--config FILE\`;
2. the text in the variable \`TORRUST_TRACKER_CONFIG_TOML\` (in the flat era: \`TORRUST_TRACKER_CONFIG\`);
3. the file that \`TORRUST_TRACKER_CONFIG_TOML_PATH\` names (in the flat era: \`TORRUST_TRACKER_PATH_CONFIG\`). A relative path is
   looked for in the working directory and in every folder above it;
4. \`./tracker.toml\`. When it is missing, it is written with a random API token, readable by its owner only, and the tracker
   starts with it. Where it cannot be written, the defaults are used without a file, without a database and with the REST API
   closed. When the variables below set \`metadata.schema_version\`, nothing is written: they are the configuration.

A file that an option or a variable names has to exist. A variable with an empty text counts as not set.

Single values from the environment win over all of these: \`TORRUST_TRACKER_CONFIG_OVERRIDE_{TABLE}__{KEY}\`, with two
underscores between levels, in upper or lower case. Their texts are typed by shape: \`true\` and \`false\`, numbers, \`"quoted"\`
texts, \`[lists]\` and \`{key = value}\` tables; everything else is a text. A text that looks like a number needs quotes of its
own, such as a token \`'"12345"'\`. Lists are replaced as a whole:

\`\`\`sh
TORRUST_TRACKER_CONFIG_OVERRIDE_UDP_TRACKERS='[{bind_address = "0.0.0.0:6969"}, {bind_address = "[::]:6969"}]'
\`\`\`

## Older files

Files of Torrust's schema \`2.0.0\` and of the flat layout before it (\`mode\`, \`db_driver\`) are read and translated, with the
defaults that they had. Keys that those layouts do not know are warnings there; in \`3.0.0\` they are errors. Variables for keys
that an older layout does not have are laid over its translation.

With a flat file, \`TORRUST_TRACKER_API_ADMIN_TOKEN\` sets the token of the label \`admin\`.

## Secrets

A secret is never printed, logged or shown in an error. Each has a twin that names a file, or a directory of files, which is
read again when it changes; give one or the other.

## When something is wrong

Nothing is repaired silently. All mistakes are told at once, and the tracker ends with the exit code 2:

\`\`\`text
${exampleError()}
\`\`\`

## Changes while the tracker runs

_Live_ keys are taken over when the file changes or the process gets SIGHUP. A change of any other key is reported and
waits for the next start.

## All keys`;
}

function exampleError(): string {
  try {
    validateConfig(parseToml(mistakenFile, './tracker.toml'), () => './tracker.toml');
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

/** A table whose columns are aligned, as the formatter of the project wants it. */
function table(keys: readonly ConfigKey[]): string {
  const rows = keys.map((key) => [`\`${key.path.join('.')}\``, describeDefault(key), key.reload]);
  const head = ['Key', 'Default', 'Change'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function describeKey(key: ConfigKey): string {
  const traits = [
    `Allowed: ${key.allowed}.`,
    key.mandatory === 'no' ? `Default: ${describeDefault(key)}.` : `${capitalize(describeDefault(key))}.`,
    key.reload === 'live' ? 'Changes are taken over live.' : 'Changes need a restart.',
    ...(key.secret ? ['Secret.'] : []),
  ];
  const variable = key.path.some((name) => name.endsWith('[]'))
    ? `with the whole list in \`${overrideName(key.path.slice(0, 1)).replace('[]', '')}\``
    : `\`${overrideName(key.path)}${key.path.at(-1) === 'access_tokens' ? '__{LABEL}' : ''}\``;
  return `### \`${key.path.join('.')}\`

${key.description}

- ${traits.join(' ')}
- Variable: ${variable}`;
}

function describeDefault(key: ConfigKey): string {
  if (key.mandatory === 'always') return 'mandatory';
  if (key.mandatory === 'in_its_table') return 'mandatory in its table';
  if (key.absent !== undefined) return key.absent;
  return `\`${JSON.stringify(key.defaultValue)}\``;
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function isDirectlyIn(key: ConfigKey, table: readonly string[]): boolean {
  return key.path.length === table.length + 1 && table.every((name, index) => name === key.path[index]);
}

if (import.meta.main) {
  const text = renderReference();
  if (process.argv.includes('--write')) writeFileSync(referencePath, text);
  else process.stdout.write(text);
}
