import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findHeader } from '../../tracker/protocol/http-header.ts';

describe('The value of a header', () => {
  const cases: Record<string, { lines: readonly string[]; value: string }> = {
    'is found whatever the letters of its name': { lines: ['Host: a', 'TraceParent: 00-1'], value: '00-1' },
    'is found in the last line': { lines: ['traceparent:x'], value: 'x' },
    'has no spaces around it': { lines: ['traceparent: \t a b \t'], value: 'a b' },
    'is that of all, joined by commas': { lines: ['traceparent: 1', 'a: b', 'TraceParent: 2'], value: '1,2' },
    'is a comma for two that are empty': { lines: ['traceparent:', 'traceparent: '], value: ',' },
    'is none when only names like it are there': {
      lines: ['x-traceparent: 1', 'traceparents: 2', 'traceparent'],
      value: '',
    },
    'is none without headers': { lines: [], value: '' },
  };
  for (const [title, { lines, value }] of Object.entries(cases)) {
    test(title, () => {
      const head = ['GET /announce?traceparent:1 HTTP/1.1', ...lines, '', ''].join('\r\n');
      const bytes = Buffer.from(`${head}traceparent: of the next request\r\n`, 'latin1');
      assert.equal(findHeader(bytes, 4, head.length, 'traceparent'), value);
    });
  }
});
