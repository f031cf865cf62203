/**
 * Request targets of the HTTP tracker: which route, which key, where the query is.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { NO_QUERY } from '../../tracker/protocol/http-query.ts';
import {
  HttpRoute,
  HttpTarget,
  matchRoute,
  PathKey,
  readPathKey,
} from '../../tracker/protocol/http-route.ts';

const KEY = 'abcdefghijklmnopQRSTUVWXYZ012345';
const ESCAPED_KEY = `%61${KEY.slice(1, 31)}%35`;

interface Seen {
  readonly route: string;
  readonly key?: string;
  readonly query?: string;
}

/** Matches a target that stands in the middle of a request line, with an object that held another target before. */
function match(text: string): Seen {
  const before = 'GET ';
  const bytes = Buffer.from(`${before}${text}?/ HTTP/1.1`, 'latin1');
  const target = new HttpTarget();
  matchRoute(Buffer.from(`/announce/${KEY}?a=b`), 0, 46, target);
  const route = matchRoute(bytes, before.length, before.length + text.length, target);
  assert.equal(target.route, route);
  const name = Object.entries(HttpRoute).find(([, value]) => value === route)?.[0] ?? '';
  return {
    route: name,
    ...(target.pathKey === PathKey.wellFormed && { key: readPathKey(bytes, target) }),
    ...(target.pathKey === PathKey.malformed && { key: 'malformed' }),
    ...(target.queryStart !== NO_QUERY && {
      query: bytes.toString('latin1', target.queryStart, target.queryEnd),
    }),
  };
}

suite('a request target', () => {
  const cases: Record<string, Seen> = {
    '/announce': { route: 'announce' },
    '/announce?': { route: 'announce', query: '' },
    '/announce?a=b&c=d?e': { route: 'announce', query: 'a=b&c=d?e' },
    '/scrape?x=y': { route: 'scrape', query: 'x=y' },
    '/health_check': { route: 'healthCheck' },
    '/health_check?x': { route: 'healthCheck', query: 'x' },
    [`/announce/${KEY}`]: { route: 'announce', key: KEY },
    [`/announce/${KEY}?a=b`]: { route: 'announce', key: KEY, query: 'a=b' },
    [`/scrape/${KEY}?a=b`]: { route: 'scrape', key: KEY, query: 'a=b' },
    [`/announce/${ESCAPED_KEY}?a=b`]: { route: 'announce', key: KEY, query: 'a=b' },
    '/announce/short': { route: 'announce', key: 'malformed' },
    [`/announce/${KEY}6`]: { route: 'announce', key: 'malformed' },
    [`/scrape/${KEY.slice(1)}-`]: { route: 'scrape', key: 'malformed' },
    [`/scrape/${KEY.slice(1)}%2d`]: { route: 'scrape', key: 'malformed' },
    [`/scrape/${KEY.slice(1)}%2F`]: { route: 'scrape', key: 'malformed' },
    [`/announce/${KEY.slice(3)}%zz`]: { route: 'announce', key: 'malformed' },
    [`/announce/${KEY.slice(1)}%`]: { route: 'announce', key: 'malformed' },
    [`/announce/${KEY.slice(1)}\u00e9`]: { route: 'announce', key: 'malformed' },
    [`/announce/${'%'.repeat(32)}`]: { route: 'announce', key: 'malformed' },
    '/announce/': { route: 'none' },
    '/announce//': { route: 'none' },
    [`/announce/${KEY}/`]: { route: 'none' },
    [`/announce/%/${KEY}`]: { route: 'none' },
    '/announces': { route: 'none' },
    '/announc': { route: 'none' },
    '/Announce': { route: 'none' },
    '/%61nnounce': { route: 'none' },
    '/health_check/': { route: 'none' },
    '/health_checks': { route: 'none' },
    '/': { route: 'none' },
    '': { route: 'none' },
    '*': { route: 'none' },
    'announce?a=b': { route: 'none', query: 'a=b' },
    '?/announce': { route: 'none', query: '/announce' },
    'http://tracker.example/announce?a=b': { route: 'announce', query: 'a=b' },
    [`https://tracker.example:7070/scrape/${KEY}`]: { route: 'scrape', key: KEY },
    'http://tracker.example?x=/announce': { route: 'none', query: 'x=/announce' },
    'http://tracker.example': { route: 'none' },
    'http:/announce': { route: 'none' },
    'http://': { route: 'none' },
  };
  for (const [text, seen] of Object.entries(cases)) {
    test(`"${text}" is ${JSON.stringify(seen)}`, () => assert.deepEqual(match(text), seen));
  }
});

test('any well-formed key is found, however it is escaped', () => {
  const character = fc.constantFrom(...'ABCXYZabcxyz0189');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(character, fc.boolean()), { minLength: 32, maxLength: 32 }),
      (characters) => {
        const sent = characters.map(([letter, escape]) =>
          escape ? `%${letter.charCodeAt(0).toString(16)}` : letter,
        );
        const key = characters.map(([letter]) => letter).join('');
        assert.deepEqual(match(`/announce/${sent.join('')}`), { route: 'announce', key });
      },
    ),
  );
});

test('any bytes have a route or none, and no range leaves the target', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom('/announce', '/scrape', '/', '?', '%', '://', KEY));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const seen = match(parts.join('').replaceAll(/[^\0-\u00ff]/g, '_'));
      assert.ok(seen.key === undefined || seen.key === 'malformed' || /^[0-9A-Za-z]{32}$/.test(seen.key));
      assert.ok(seen.query === undefined || parts.join('').endsWith(seen.query));
    }),
  );
});
