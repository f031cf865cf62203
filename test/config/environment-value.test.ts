import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseEnvironmentValue } from '../../tracker/config/environment-value.ts';
import { applyOverrides, overrideName, readOverrides } from '../../tracker/config/overrides.ts';

suite('a value in an environment variable', () => {
  const cases: Readonly<Record<string, unknown>> = {
    true: true,
    false: false,
    ' true ': true,
    True: 'True',
    '0': 0,
    '-3': -3,
    '+7': 7,
    '1.5': 1.5,
    '12345678901234567890': '12345678901234567890',
    '0.0.0.0:6969': '0.0.0.0:6969',
    '[::]:6969': '[::]:6969',
    '"12345"': '12345',
    "'12345'": '12345',
    '"a \\"quoted\\" \\n text"': 'a "quoted" \n text',
    '"open': '"open',
    '"bad \\x escape"': '"bad \\x escape"',
    '[]': [],
    '[1, "two", three, true]': [1, 'two', 'three', true],
    '[1,]': [1],
    '[1': '[1',
    '[[1], [2]]': [[1], [2]],
    '{}': {},
    '{k = 1, "q r" = [a], nested = {x = "y"}}': { k: 1, 'q r': ['a'], nested: { x: 'y' } },
    '{k}': '{k}',
    '{k = 1} and more': '{k = 1} and more',
    '[{bind_address="0.0.0.0:6969"}]': [{ bind_address: '0.0.0.0:6969' }],
    'mysql://u:p@h:3306/d': 'mysql://u:p@h:3306/d',
    'a,b': 'a,b',
    '': '',
  };
  for (const [text, value] of Object.entries(cases)) {
    test(`${JSON.stringify(text)} is read as ${JSON.stringify(value)}`, () => {
      assert.deepEqual(parseEnvironmentValue(text), value);
    });
  }
});

suite('overrides', () => {
  const laid = (tree: Parameters<typeof applyOverrides>[0], env: Record<string, string>) =>
    applyOverrides(tree, readOverrides(env));

  test('take their path from the name, in any case, with two underscores between levels', () => {
    assert.deepEqual(
      laid(
        {},
        {
          TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER: 'mysql',
          torrust_tracker_config_override_http_api__access_tokens__admin: 'secret',
          TORRUST_TRACKER_CONFIG_OVERRIDE_: 'ignored',
          TORRUST_TRACKER_CONFIG_TOML: 'ignored',
        },
      ),
      { core: { database: { driver: 'mysql' } }, http_api: { access_tokens: { admin: 'secret' } } },
    );
  });

  test('join tables and replace lists and values', () => {
    assert.deepEqual(
      laid(
        { core: { listed: true, private: false }, list: [1, 2], value: 1 },
        {
          TORRUST_TRACKER_CONFIG_OVERRIDE_CORE: '{private = true}',
          TORRUST_TRACKER_CONFIG_OVERRIDE_LIST: '[3]',
          TORRUST_TRACKER_CONFIG_OVERRIDE_VALUE__BELOW: 'x',
        },
      ),
      { core: { listed: true, private: true }, list: [3], value: { below: 'x' } },
    );
  });

  test('leave the tree alone that they are laid over', () => {
    const tree = { core: { listed: true } };
    laid(tree, { TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__LISTED: 'false' });
    assert.deepEqual(tree, { core: { listed: true } });
  });

  test('reach no further than the tables that they name', () => {
    laid({}, { TORRUST_TRACKER_CONFIG_OVERRIDE_CONSTRUCTOR__PROTOTYPE__POLLUTED: '1' });
    laid({}, { TORRUST_TRACKER_CONFIG_OVERRIDE_X: '{__proto__ = {polluted = 1}}' });
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false);
    assert.equal('polluted' in {}, false);
  });

  test('have a name for every key', () => {
    assert.equal(
      overrideName(['core', 'announce_policy', 'interval']),
      'TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__ANNOUNCE_POLICY__INTERVAL',
    );
  });
});
