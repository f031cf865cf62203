import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatPath } from '../../tracker/config/errors.ts';
import { configError, loadText, minimalToml } from './sample.ts';

const source = 'TORRUST_TRACKER_CONFIG_TOML';

suite('the message about a mistake', () => {
  interface Case {
    readonly toml?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly lines: readonly string[];
  }
  const cases: Readonly<Record<string, Case>> = {
    'gives the value and what is allowed': {
      toml: '[core.announce_policy]\ninterval = 0',
      lines: [
        `  ${source}: core.announce_policy.interval is 0`,
        '      allowed: a whole number of seconds from 1 to 4294967295',
      ],
    },
    'guesses a value': {
      toml: '[udp_tracker_server]\nconnection_id_validation = "Strict"',
      lines: [
        `  ${source}: udp_tracker_server.connection_id_validation is "Strict"`,
        '      allowed: "strict", "lenient", "disabled"',
        '      did you mean "strict"?',
      ],
    },
    'guesses a key by its neighbours': {
      toml: '[[udp_trackers]]\nbind_adress = "0.0.0.0:1"',
      lines: [
        `  ${source}: udp_trackers[0].bind_adress is not a known key`,
        '      did you mean udp_trackers[0].bind_address?',
      ],
    },
    'guesses a table': {
      toml: '[health_check]\n',
      lines: [`  ${source}: health_check is not a known key`, '      did you mean health_check_api?'],
    },
    'knows the older name of a key': {
      toml: '[[http_trackers]]\ntsl_config = {}',
      lines: [
        `  ${source}: http_trackers[0].tsl_config is not a known key`,
        '      did you mean http_trackers[0].tls_config?',
      ],
    },
    'knows the table where a key belongs': {
      toml: '[core.database]\nmax_peer_timeout = 5',
      lines: [
        `  ${source}: core.database.max_peer_timeout is not a known key`,
        '      did you mean core.tracker_policy.max_peer_timeout?',
      ],
    },
    'names the variable that a value comes from': {
      env: { TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__LISTED: 'yes' },
      lines: [
        '  TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__LISTED: core.listed is "yes"',
        '      allowed: true or false',
      ],
    },
    'says how to give a text that looks like a number, without showing a secret': {
      env: { TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__ACCESS_TOKENS__ADMIN: '12345' },
      lines: [
        '  TORRUST_TRACKER_CONFIG_OVERRIDE_HTTP_API__ACCESS_TOKENS__ADMIN: http_api.access_tokens.admin is a number (not shown)',
        '      allowed: a text of printable ASCII characters, without spaces at its ends',
        `      the value was read as a number; write '"..."' to give a text`,
      ],
    },
    'says the same for a file': {
      toml: '[core.database]\npath = 5',
      lines: [
        `  ${source}: core.database.path is 5`,
        '      allowed: the path of a file, or a URL mysql://USER:PASSWORD@HOST:PORT/DATABASE',
        '      the value was read as a number; write "..." to give a text',
      ],
    },
    'shows only the kind of a table or a list': {
      toml: 'swarm = ["hush"]',
      lines: [`  ${source}: swarm is a list`, '      allowed: a table'],
    },
    'shortens a long value': {
      toml: `[logging]\ntrace_style = "${'x'.repeat(300)}"`,
      lines: [
        `  ${source}: logging.trace_style is "${'x'.repeat(95)}..."`,
        '      allowed: "full", "pretty", "compact", "json"',
      ],
    },
    'lists what an entry of a list may be': {
      toml: '[[http_trackers]]\nnetwork = {trusted_proxies = ["10.0.0.1"]}',
      lines: [
        `  ${source}: http_trackers[0].network.trusted_proxies[0] is "10.0.0.1"`,
        '      allowed: a range of addresses, such as "10.0.0.0/8" or "2001:db8::/32"; a single address is "192.0.2.1/32"',
      ],
    },
    'says which key of a table is missing': {
      toml: '[http_api.tls_config]\nssl_cert_path = "./cert.pem"',
      lines: [
        `  ${source}: http_api.tls_config.ssl_key_path is missing`,
        '      allowed: the path of a PEM file',
      ],
    },
    'says a broken rule in a sentence': {
      toml: '[core.private_mode]',
      lines: [
        `  ${source}: core.private_mode: Private mode section in configuration can only be included when the tracker is running in private mode.`,
      ],
    },
  };
  for (const [what, { toml = '', env = {}, lines }] of Object.entries(cases)) {
    test(what, () => {
      const text = toml.startsWith('[logging]')
        ? minimalToml.replace('[logging]', toml)
        : toml.startsWith('[') || toml === ''
          ? `${minimalToml}${toml}\n`
          : `${toml}\n${minimalToml}`;
      const { message, code } = configError(() => loadText(text, env));
      assert.equal(code, 'invalid');
      assert.equal(message, ['The configuration has a mistake:', ...lines].join('\n'));
    });
  }

  test('stands with all others in one', () => {
    const { message, problems } = configError(() =>
      loadText(
        '[metadata]\nschema_version = "3.0.0"\n[core]\nlisted = 1\nprivat = true\n[[udp_trackers]]\n[[udp_trackers]]',
      ),
    );
    assert.equal(problems.length, 5);
    assert.equal(
      message,
      `The configuration has 5 mistakes:
  ${source}: logging.trace_filter is missing: Missing mandatory configuration option. Option path: logging.trace_filter
      allowed: "off", "error", "warn", "info", "debug", "trace"
  ${source}: core.private is missing: Missing mandatory configuration option. Option path: core.private
      allowed: true or false
  ${source}: core.listed is 1
      allowed: true or false
  ${source}: core.privat is not a known key
      did you mean core.private?
  ${source}: udp_trackers[1].bind_address: udp_trackers[0] listens on UDP 0.0.0.0:6969 already`,
    );
  });
});

suite('a secret is never in a message', () => {
  const secret = 'hush-hush';
  const texts: Readonly<Record<string, string>> = {
    'a token that is wrong': `${minimalToml}[http_api.access_tokens]\nadmin = "${secret} "`,
    'a token in a list': `${minimalToml}[http_api]\naccess_tokens = ["${secret}"]`,
    'a token in place of the table': `${minimalToml}[http_api]\naccess_tokens = "${secret}"`,
    'a token in place of the API': `http_api = ["${secret}"]\n${minimalToml}`,
    'a token in place of the API as a text': `http_api = "${secret}"\n${minimalToml}`,
    'a token in place of the tokens of an older file': `mode = "public"\n[http_api]\naccess_tokens = "${secret}"`,
    'a token in a table below a label': `${minimalToml}[http_api.access_tokens.admin]\nvalue = "${secret}"`,
    'a token under a key that is misspelled': `${minimalToml}[http_api]\naccess_token = "${secret}"`,
    'a password of SQLite': `${minimalToml}[core.database]\npassword = "${secret}"`,
    'a password in a list': `${minimalToml}[core.database]\npassword = ["${secret}"]`,
    'a password in a URL with the wrong driver': `${minimalToml}[core.database]\npath = "mysql://user:${secret}@db/x"`,
    'a password in a URL that is broken': `${minimalToml}[core.database]\ndriver = "mysql"\npath = "mysql://user:${secret}#@db"`,
    'a password in a URL under another key': `${minimalToml}[core.database]\ndriver = "mysql://user:${secret}@db/x"`,
    'a password in a flat URL': `mode = "public"\ndb_driver = "mysql://user:${secret}@db/x"`,
    'a token of an older file': `[metadata]\nschema_version = "2.0.0"\n[logging]\nthreshold = "info"\n[core]\nlisted = false\nprivate = false\n[http_api.access_tokens]\nadmin = "${secret} "`,
    'a token of a flat file': `mode = "public"\n[http_api.access_tokens]\nadmin = "${secret} "`,
    'a token with an open quote': `${minimalToml}[http_api.access_tokens]\nadmin = "${secret}`,
    'a token in an inline table with a mistake': `${minimalToml}[http_api]\naccess_tokens = {admin = "${secret}", }}`,
    'a label that is given twice': `${minimalToml}[http_api.access_tokens]\nadmin = "a"\nadmin = "${secret}"`,
    'a password with an open quote': `${minimalToml}[core.database]\npassword = "${secret}`,
    'a URL with an open quote': `db_path = "mysql://user:${secret}@db/x`,
  };
  for (const [what, text] of Object.entries(texts)) {
    test(what, () => {
      const error = configError(() => loadText(text));
      assert.ok(!error.message.includes(secret), error.message);
      assert.ok(!JSON.stringify(error.problems).includes(secret));
      assert.equal(error.cause, undefined);
    });
  }
});

suite('a text that is no TOML', () => {
  test('is answered with line, column and the line itself', () => {
    const error = configError(() => loadText('[core]\nlisted = = true\n'));
    assert.equal(error.code, 'toml_syntax');
    assert.equal(
      error.message,
      `${source} is not valid TOML: line 2, column 10: invalid value\n  2 | listed = = true\n               ^`,
    );
  });

  test('shows the header of a table of secrets, which holds none', () => {
    const error = configError(() => loadText('[http_api.access_tokens\nadmin = "hush"\n'));
    assert.match(error.message, /line 1, column \d+: .*\n {2}1 \| \[http_api\.access_tokens\n/);
  });
});

test('a path is written as in the file', () => {
  assert.equal(
    formatPath(['udp_trackers', 0, 'network', 'external_ip']),
    'udp_trackers[0].network.external_ip',
  );
  assert.equal(formatPath(['http_api', 'access_tokens', 'a b']), 'http_api.access_tokens."a b"');
});
