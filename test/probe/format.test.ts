/**
 * Results of probes as people and as scripts read them.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { formatProbeTable, printable } from '../../tracker/probe/format.ts';
import type { HealthResult, ProbeFailure, ProbeResult, ProbeStep } from '../../tracker/probe/result.ts';
import { formatTorrustChecks, formatTorrustJson } from '../../tracker/probe/torrust-format.ts';

const INFO_HASH = '9c38422213e30bff212b30c360d26f9a02136422';
const PEER_ID = Buffer.from('-qB00000000000000001').toString('hex');

const once = { round: 1, micros: 1234, tries: 1 };
const RESOLVED: ProbeStep = { ...once, name: 'resolve', kind: 'ok', address: '127.0.0.1', family: 4 };
const CONNECTED: ProbeStep = { ...once, name: 'connect', kind: 'ok' };
const ANNOUNCED: ProbeStep = {
  ...once,
  name: 'announce',
  kind: 'ok',
  announce: {
    transactionId: -888840697,
    intervalSeconds: 120,
    minIntervalSeconds: 120,
    seeders: 1,
    leechers: 0,
    externalIp: null,
    warning: null,
    peers: [{ address: '123.123.123.123', port: 51289, peerId: PEER_ID }],
  },
};
const SCRAPED: ProbeStep = {
  ...once,
  name: 'scrape',
  kind: 'ok',
  scrape: {
    transactionId: -888840697,
    entries: [{ infoHash: INFO_HASH, seeders: 1, completed: 0, leechers: 0 }],
  },
};
const STOPPED: ProbeStep = { ...once, name: 'stop', kind: 'ok' };

function failed(
  name: ProbeStep['name'],
  failure: ProbeFailure,
  transactionId: number | null = null,
): ProbeStep {
  return { ...once, name, kind: 'failed', failure, transactionId };
}

function result(
  protocol: 'udp' | 'http',
  steps: readonly ProbeStep[],
  remote = '127.0.0.1:6969',
): ProbeResult {
  const url = protocol === 'udp' ? 'udp://127.0.0.1:6969' : 'http://127.0.0.1:7070/';
  return { protocol, url, remote, ok: steps.every((step) => step.kind === 'ok'), steps };
}

suite('the table of a probe', () => {
  test('has a line for each step, and what it found', () => {
    const slow: ProbeStep = { ...STOPPED, micros: 1_012_345, tries: 3 };
    assert.equal(
      formatProbeTable(result('udp', [RESOLVED, CONNECTED, ANNOUNCED, SCRAPED, slow]), false),
      [
        'udp://127.0.0.1:6969 (127.0.0.1:6969)',
        '  resolve      1.23 ms  127.0.0.1',
        '  connect      1.23 ms',
        '  announce     1.23 ms  1 seeder, 0 leechers, 1 peer, again in 120 s',
        '    123.123.123.123:51289',
        '  scrape       1.23 ms  1 torrent',
        `    ${INFO_HASH}  1 seeder, 0 leechers, 0 completed`,
        '  stop         1012 ms  after 3 tries',
        '',
      ].join('\n'),
    );
  });

  test('ends with the step that failed, and says why', () => {
    const steps = [RESOLVED, failed('connect', { kind: 'timeout', tries: 3 })];
    assert.equal(
      formatProbeTable(result('udp', steps), false),
      [
        'udp://127.0.0.1:6969 (127.0.0.1:6969)',
        '  resolve      1.23 ms  127.0.0.1',
        '  connect      1.23 ms  no answer in time (3 tries)',
        '',
      ].join('\n'),
    );
  });

  test('shows the spread of several rounds, and how many succeeded', () => {
    const connects = [500, 1500, 1000].map((micros, i): ProbeStep => ({
      ...CONNECTED,
      micros,
      round: i + 1,
    }));
    const scrapes = [SCRAPED, failed('scrape', { kind: 'network', code: 'ECONNRESET' })];
    assert.equal(
      formatProbeTable(result('udp', [RESOLVED, ...connects, ...scrapes]), false),
      [
        'udp://127.0.0.1:6969 (127.0.0.1:6969)',
        '               ok        min     median        max',
        '  resolve     1/1    1.23 ms    1.23 ms    1.23 ms  127.0.0.1',
        '  connect     3/3    0.50 ms    1.00 ms    1.50 ms',
        '  scrape      1/2    1.23 ms    1.23 ms    1.23 ms  ECONNRESET',
        '',
      ].join('\n'),
    );
  });

  test('names a few of many peers, with brackets around IPv6', () => {
    const peers = Array.from({ length: 12 }, (_, i) => ({ address: '2001:db8::1', port: i, peerId: null }));
    const announced: ProbeStep = { ...ANNOUNCED, announce: { ...ANNOUNCED.announce, peers } };
    const table = formatProbeTable(result('http', [announced]), false);
    assert.match(table, /12 peers/);
    assert.match(table, /\n {4}\[2001:db8::1\]:0\n/);
    assert.match(table, /:9\n {4}and 2 more\n$/);
  });

  test('is coloured only when that is wanted', () => {
    const steps = [RESOLVED, failed('connect', { kind: 'timeout', tries: 3 })];
    assert.ok(formatProbeTable(result('udp', steps), true).includes('\u001b[31m'));
    assert.ok(!formatProbeTable(result('udp', steps), false).includes('\u001b'));
  });

  test('gives a terminal nothing to obey, whatever the tracker wrote', () => {
    const reason = 'bad\u001b[2J\r\nfake line\u009b1m\u202e';
    const steps = [failed('announce', { kind: 'refused', reason, retryIn: 5 })];
    const table = formatProbeTable(result('http', steps), false);
    assert.match(table, /refused: bad\\u001b\[2J\\u000d\\u000afake line\\u009b1m\\u202e, retry in: 5 min\n$/);
    const address = '\u001b]0;title\u0007';
    const announced = {
      ...ANNOUNCED,
      announce: { ...ANNOUNCED.announce, peers: [{ address, port: 1, peerId: null }] },
    };
    assert.ok(!formatProbeTable(result('http', [announced]), false).includes('\u001b'));
    assert.equal(printable('ordinary text: é ✓'), 'ordinary text: é ✓');
  });
});

suite('the JSON of the Torrust tools', () => {
  test('a UDP announce', () => {
    assert.equal(
      formatTorrustJson(result('udp', [RESOLVED, CONNECTED, ANNOUNCED, STOPPED]), 'announce'),
      `{
  "AnnounceIpv4": {
    "transaction_id": -888840697,
    "announce_interval": 120,
    "leechers": 0,
    "seeders": 1,
    "peers": [
      "123.123.123.123:51289"
    ]
  }
}`,
    );
  });

  test('a UDP announce over IPv6 names peers without brackets', () => {
    const peers = [{ address: '2001:db8::1', port: 6881, peerId: null }];
    const announced: ProbeStep = { ...ANNOUNCED, announce: { ...ANNOUNCED.announce, peers } };
    const text = formatTorrustJson(result('udp', [announced], '[::1]:6969'), 'announce') ?? '';
    assert.match(text, /^\{\n {2}"AnnounceIpv6": \{/);
    assert.match(text, /"2001:db8::1:6881"/);
  });

  test('a UDP scrape', () => {
    const zero: ProbeStep = {
      ...SCRAPED,
      scrape: {
        transactionId: -888840697,
        entries: [{ infoHash: INFO_HASH, seeders: 0, completed: 0, leechers: 0 }],
      },
    };
    assert.equal(
      formatTorrustJson(result('udp', [CONNECTED, zero]), 'scrape'),
      `{
  "Scrape": {
    "transaction_id": -888840697,
    "torrent_stats": [
      {
        "seeders": 0,
        "completed": 0,
        "leechers": 0
      }
    ]
  }
}`,
    );
  });

  test('a UDP error', () => {
    const step = failed('announce', { kind: 'refused', reason: 'no', retryIn: null }, 7);
    assert.equal(
      formatTorrustJson(result('udp', [step]), 'announce'),
      '{\n  "Error": {\n    "transaction_id": 7,\n    "message": "no"\n  }\n}',
    );
  });

  test('an HTTP announce', () => {
    const peers = [{ address: '127.0.0.1', port: 17548, peerId: PEER_ID }];
    const announced: ProbeStep = { ...ANNOUNCED, announce: { ...ANNOUNCED.announce, peers } };
    assert.equal(
      formatTorrustJson(result('http', [announced]), 'announce'),
      '{"complete":1,"incomplete":0,"interval":120,"min interval":120,"peers":[{"ip":"127.0.0.1","peer id":[45,113,66,48,48,48,48,48,48,48,48,48,48,48,48,48,48,48,48,49],"port":17548}]}\n',
    );
  });

  test('an HTTP scrape', () => {
    assert.equal(
      formatTorrustJson(result('http', [SCRAPED]), 'scrape'),
      '{"9c38422213e30bff212b30c360d26f9a02136422":{"complete":1,"downloaded":0,"incomplete":0}}\n',
    );
  });

  test('no reply is no JSON', () => {
    const timeout = failed('announce', { kind: 'timeout', tries: 3 });
    assert.equal(formatTorrustJson(result('udp', [timeout]), 'announce'), null);
    assert.equal(formatTorrustJson(result('http', [timeout]), 'announce'), null);
    assert.equal(formatTorrustJson(result('udp', [RESOLVED]), 'scrape'), null);
  });

  test('checks that all pass', () => {
    const health: HealthResult = {
      protocol: 'health',
      url: 'http://127.0.0.1:1313/health_check',
      micros: 1,
      outcome: { kind: 'answered', status: 200, statusText: 'OK' },
    };
    const steps = [RESOLVED, CONNECTED, ANNOUNCED, SCRAPED, STOPPED];
    const text = formatTorrustChecks([result('udp', steps), result('http', steps), health]);
    assert.deepEqual(JSON.parse(text), [
      {
        Udp: {
          Ok: {
            remote_addr: '127.0.0.1:6969',
            results: [['Setup', { Ok: null }], ['Connect', { Ok: null }], ['Announce', { Ok: null }], ['Scrape', { Ok: null }]],
          },
        },
      },
      { Http: { Ok: { url: 'http://127.0.0.1:7070/', results: [['Announce', { Ok: null }], ['Scrape', { Ok: null }]] } } },
      { Health: { Ok: { url: 'http://127.0.0.1:1313/health_check', result: { Ok: '200 OK' } } } },
    ]); // prettier-ignore
    assert.match(text, /^\[\n {2}\{\n {4}"Udp": /);
  });

  test('checks that fail', () => {
    const refused = failed('connect', { kind: 'network', code: 'ECONNREFUSED' });
    const err = 'nobody listens there (ECONNREFUSED)';
    const health: HealthResult = {
      protocol: 'health',
      url: 'http://127.0.0.1:1313/health_check',
      micros: 1,
      outcome: { kind: 'failed', failure: refused.kind === 'failed' ? refused.failure : { kind: 'aborted' } },
    };
    const text = formatTorrustChecks([
      result('udp', [RESOLVED, refused]),
      result('http', [RESOLVED, refused]),
      health,
    ]);
    assert.deepEqual(JSON.parse(text), [
      {
        Udp: {
          Err: {
            remote_addr: '127.0.0.1:6969',
            results: [
              ['Setup', { Ok: null }],
              ['Connect', { Err: { UnableToReceiveConnectResponse: { err } } }],
            ],
          },
        },
      },
      {
        Http: {
          Err: {
            url: 'http://127.0.0.1:7070/',
            results: [['Announce', { Err: { ResponseError: { err } } }]],
          },
        },
      },
      {
        Health: {
          Err: { url: 'http://127.0.0.1:1313/health_check', result: { Err: { RequestFailed: { err } } } },
        },
      },
    ]);
  });
});
