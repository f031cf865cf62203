/**
 * Announce URLs as users write them.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { displayUrl, parseInfoHash, parseTrackerUrl, type ParsedTarget } from '../../tracker/probe/target.ts';

const KEY = 'abcdefghijklmnopQRSTUVWXYZ012345';

const udp = (host: string, port: number, urlData = ''): ParsedTarget => ({
  kind: 'udp',
  host,
  port,
  urlData,
});
const http = (
  secure: boolean,
  host: string,
  port: number,
  prefix = '',
  tail = '',
  query = '',
): ParsedTarget => ({
  kind: 'http',
  secure,
  host,
  port,
  announcePath: `${prefix}/announce${tail}`,
  scrapePath: `${prefix}/scrape${tail}`,
  query,
});

suite('an announce URL', () => {
  const cases: [url: string, key: string, target: ParsedTarget][] = [
    ['tracker.example:6969', '', udp('tracker.example', 6969)],
    ['127.0.0.1:6969', '', udp('127.0.0.1', 6969)],
    ['[::1]:6969', '', udp('::1', 6969)],
    ['udp://tracker.example:6969', '', udp('tracker.example', 6969)],
    ['udp://tracker.example:6969/', '', udp('tracker.example', 6969)],
    ['udp://tracker.example:80/announce', '', udp('tracker.example', 80, '/announce')],
    ['UDP://tracker.example:6969/announce?a=b', '', udp('tracker.example', 6969, '/announce?a=b')],
    ['udp://[2001:db8::1]:6969', KEY, udp('2001:db8::1', 6969, `/announce/${KEY}`)],
    [`udp://t.example:1/announce/other`, KEY, udp('t.example', 1, `/announce/${KEY}`)],
    ['http://tracker.example', '', http(false, 'tracker.example', 80)],
    ['http://tracker.example:7070/', '', http(false, 'tracker.example', 7070)],
    ['http://tracker.example:7070/announce', '', http(false, 'tracker.example', 7070)],
    ['https://tracker.example/announce/', '', http(true, 'tracker.example', 443)],
    ['https://[::1]:7443/announce', '', http(true, '::1', 7443)],
    [`http://t.example/announce/${KEY}`, '', http(false, 't.example', 80, '', `/${KEY}`)],
    ['http://t.example/announce/old', KEY, http(false, 't.example', 80, '', `/${KEY}`)],
    ['http://t.example/scrape', KEY, http(false, 't.example', 80, '', `/${KEY}`)],
    ['http://t.example', 'a/b', http(false, 't.example', 80, '', '/a%2Fb')],
    ['http://t.example/bt/announce?pass=x', '', http(false, 't.example', 80, '/bt', '', 'pass=x')],
    ['http://t.example/bt/', '', http(false, 't.example', 80, '/bt')],
    ['udp://tracker.example', '', { kind: 'bad', reason: 'the URL of a UDP tracker needs a port' }],
    ['tracker.example', '', { kind: 'bad', reason: 'the URL of a UDP tracker needs a port' }],
    ['udp://tracker.example:0', '', { kind: 'bad', reason: 'the URL of a UDP tracker needs a port' }],
    ['http://tracker.example:0', '', { kind: 'bad', reason: 'nobody can be reached at port 0' }],
    ['wss://tracker.example', '', { kind: 'bad', reason: 'wss is none of udp, http and https' }],
    ['udp://tracker.example:70000', '', { kind: 'bad', reason: 'not a URL of a tracker' }],
    ['http://', '', { kind: 'bad', reason: 'not a URL of a tracker' }],
    ['', '', { kind: 'bad', reason: 'not a URL of a tracker' }],
  ];
  for (const [url, key, target] of cases) {
    test(`"${url}"${key && ` with the key ${key}`}`, () =>
      assert.deepEqual(parseTrackerUrl(url, key), target));
  }
});

suite('what is shown of a URL has no key', () => {
  const cases: [url: string, shown: string][] = [
    [`http://user:password@t.example/announce/${KEY}?pass=x`, 'http://t.example/'],
    ['https://[::1]:7443/announce', 'https://[::1]:7443/'],
    [`udp://t.example:6969/announce/${KEY}`, 'udp://t.example:6969'],
    ['udp://[::1]:6969/x', 'udp://[::1]:6969'],
  ];
  for (const [url, shown] of cases) {
    test(shown, () => {
      const target = parseTrackerUrl(url, KEY);
      assert(target.kind !== 'bad');
      assert.equal(displayUrl(target), shown);
    });
  }
});

test('an info hash is 40 hexadecimal digits and nothing else', () => {
  assert.deepEqual(
    parseInfoHash('0aFF'.repeat(10)),
    Uint8Array.from({ length: 20 }, (_, i) => (i % 2 ? 255 : 10)),
  );
  for (const text of [
    '',
    '0aff'.repeat(9),
    `${'0aff'.repeat(10)}0`,
    `${'0aff'.repeat(9)}0afg`,
    ' '.repeat(40),
  ]) {
    assert.equal(parseInfoHash(text), null, text);
  }
});
