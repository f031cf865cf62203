/**
 * What a container said last before it ended, as its status has it: with the policy `FallbackToLogsOnError` the end of its
 * log, in which the tracker names what keeps it from starting and what to do.
 * https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
 */
import { printable } from '../../tracker/probe/format.ts';
import { textAt } from '../json-path.ts';

const MAX_CHARS = 300;
/** How the tracker begins what ends it; lines that are set in below belong to it. */
const ERROR = /^error: /;

/** One line without control characters; empty when nothing was said. `text` is the end of a log. */
export function lastWords(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const at = lines.findLastIndex((line) => ERROR.test(line));
  const words =
    at < 0
      ? messageOf(lines.at(-1) ?? '')
      : lines
          .slice(at)
          .filter((line, index) => index === 0 || line.startsWith(' '))
          .map((line) => line.replace(ERROR, '').trim())
          .join(' ');
  return printable(words.slice(0, MAX_CHARS)).replace(/\.$/, '');
}

/** The message of a line of a log in JSON, or the line. */
function messageOf(line: string): string {
  try {
    return textAt(JSON.parse(line), 'msg') ?? line;
  } catch {
    return line;
  }
}
