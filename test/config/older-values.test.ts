/** Values that Torrust takes in its older layouts and its users may have: what becomes of them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { loadText } from './sample.ts';

const V2 =
  '[metadata]\nschema_version = "2.0.0"\n[logging]\nthreshold = "info"\n[core]\nlisted = false\nprivate = false\n';

suite('intervals and a timeout of 0 seconds count as 1, with a warning for each', () => {
  const layouts: Record<string, { text: string; keys: string[] }> = {
    'in 2.0.0': {
      text: `${V2}[core.announce_policy]\ninterval = 0\ninterval_min = 0\n[core.tracker_policy]\nmax_peer_timeout = 0\n`,
      keys: [
        'core.announce_policy.interval',
        'core.announce_policy.interval_min',
        'core.tracker_policy.max_peer_timeout',
      ],
    },
    'in the flat layout': {
      text: 'mode = "public"\nannounce_interval = 0\nmin_announce_interval = 0\nmax_peer_timeout = 0\n[http_api]\nenabled = false\n',
      keys: ['announce_interval', 'min_announce_interval', 'max_peer_timeout'],
    },
  };
  for (const [title, { text, keys }] of Object.entries(layouts)) {
    test(title, () => {
      const { config, warnings } = loadText(text);
      assert.deepEqual(config.core.announce_policy.interval, 1);
      assert.deepEqual(config.core.announce_policy.interval_min, 1);
      assert.equal(config.core.tracker_policy.max_peer_timeout, 1);
      assert.deepEqual(
        warnings.filter((warning) => warning.includes(' = 0 ')),
        keys.map((key) => `${key} = 0 counts as 1`),
      );
    });
  }
});

suite('a token with spaces in it stays as it is', () => {
  const tokens = '[http_api.access_tokens]\nadmin = "two words"\n';
  for (const [title, text] of [
    ['in 2.0.0', V2 + tokens],
    ['in the flat layout', `mode = "public"\n${tokens}`],
  ]) {
    test(title, () =>
      assert.deepEqual(loadText(text).config.http_api?.access_tokens, { admin: 'two words' }),
    );
  }
});
