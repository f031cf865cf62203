/** The option `--namespaces`, which several commands have. */
import { InvalidArgumentError } from 'commander';

/** Reads `a,b` as two namespaces. */
export function readNamespaces(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (!names.every((name) => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))) {
    throw new InvalidArgumentError(
      'namespaces are lower-case letters, digits and dashes, with commas between them',
    );
  }
  return [...new Set(names)];
}
