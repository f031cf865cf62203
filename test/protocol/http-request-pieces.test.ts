/** What it costs to read a request head that comes in pieces. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeadState, readFurther, readRequestHead, RequestHead } from '../../tracker/protocol/http-request.ts';

test('a long head that comes byte by byte is looked at hardly more often than one that comes at once', () => {
  const fields = Array.from({ length: 1500 }, (_, i) => `X-${i}: y\r\n`).join('');
  const maxTargetBytes = 50_000;
  const text = `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
  let looks = 0;
  const whole = Buffer.from(text, 'latin1');
  // An array of bytes whose reading is counted.
  const bytes = new Proxy(whole, {
    get: (target, name) => {
      looks++;
      return target[Number(name)];
    },
  });
  const head = new RequestHead();
  let state = readRequestHead(bytes, 0, 0, maxTargetBytes, head);
  for (let end = 1; end <= whole.length; end++) {
    assert.equal(state, HeadState.incomplete);
    state = readFurther(bytes, end, maxTargetBytes, head);
  }
  assert.equal(state, HeadState.complete);
  const inPieces = looks;
  looks = 0;
  assert.equal(readRequestHead(bytes, 0, whole.length, maxTargetBytes, head), HeadState.complete);
  assert.ok(inPieces < 4 * looks, `${inPieces} looks at bytes instead of ${looks}`);
});
