/** The log as people and machines read it, while its settings change; and what it says about sockets. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { listenerSetups } from '../../tracker/run/listener-setups.ts';
import { announceSockets } from '../../tracker/run/services.ts';
import { type Log, type LogSettings, openLog } from '../../tracker/telemetry/log.ts';
import { validate } from '../config/sample.ts';

/** A log into memory. */
function openMemoryLog(settings: LogSettings, isTerminal = false): { log: Log; text(): string } {
  let text = '';
  const stream = { write: (line: string) => void (text += line) };
  return { log: openLog(settings, { stream, isTerminal, hasColors: false }), text: () => text };
}

describe('A log line', () => {
  const styles: Record<string, { settings: LogSettings; isTerminal: boolean; looks: RegExp }> = {
    'is JSON where no terminal is': {
      settings: { filter: 'info' },
      isTerminal: false,
      looks: /^\{"level":"info","time":"\d{4}-.*Z","port":7,"msg":"word"\}\n$/,
    },
    'is for people on a terminal': {
      settings: { filter: 'info' },
      isTerminal: true,
      looks: /^\[\d\d:\d\d:\d\d\.\d+\] INFO: word \{"port":7\}\n$/,
    },
    'is JSON on a terminal when asked': {
      settings: { filter: 'info', style: 'json' },
      isTerminal: true,
      looks: /^\{"level"/,
    },
    'takes several lines when it is pretty': {
      settings: { filter: 'info', style: 'pretty' },
      isTerminal: false,
      looks: /INFO: word\n {4}port: 7\n$/,
    },
    'has no time when it is compact': {
      settings: { filter: 'info', style: 'compact' },
      isTerminal: false,
      looks: /^INFO: word \{"port":7\}\n$/,
    },
  };
  for (const [title, { settings, isTerminal, looks }] of Object.entries(styles)) {
    test(title, () => {
      const { log, text } = openMemoryLog(settings, isTerminal);
      log.logger.info({ port: 7 }, 'word');
      assert.match(text(), looks);
      // The same after a change to it.
      const changed = openMemoryLog({ filter: 'off', style: 'compact' }, isTerminal);
      changed.log.configure(settings);
      changed.log.logger.info({ port: 7 }, 'word');
      assert.match(changed.text(), looks);
    });
  }

  test('is written from the level on that is set', () => {
    const levels = ['error', 'warn', 'info', 'debug', 'trace'] as const;
    const { log, text } = openMemoryLog({ filter: 'trace', style: 'compact' });
    const heard = (filter: LogSettings['filter']) => {
      const before = text().length;
      log.configure({ filter, style: 'compact' });
      for (const level of levels) log.logger[level](level);
      return text().slice(before).trim().split('\n').filter(Boolean).length;
    };
    assert.deepEqual((['off', ...levels] as const).map(heard), [0, 1, 2, 3, 4, 5]);
  });
});

describe('The log about sockets', () => {
  const config = validate({
    'udp_trackers.0.bind_address': '0.0.0.0:1',
    'udp_trackers.1.bind_address': '0.0.0.0:2',
    'http_trackers.0.bind_address': '0.0.0.0:1',
    'network.receive_buffer_bytes': 1_000_000,
  });
  const setups = listenerSetups(config);
  const bytesOf = (granted: number) => (process.platform === 'linux' ? 2 * granted : granted);
  const say = (granted: readonly number[]) => {
    const { log, text } = openMemoryLog({ filter: 'info', style: 'compact' });
    const listeners = setups.map(({ bind }, index) => ({
      address: bind,
      receiveBufferBytes: index < granted.length ? bytesOf(granted[index]) : null,
    }));
    announceSockets(log.logger, { isNative: true, threads: 2 }, setups, listeners);
    return text().trim().split('\n');
  };

  test('counts threads, and warns once of a receive buffer that is smaller than asked', () => {
    assert.deepEqual(say([1_000_000, 1_000_000]), ['INFO: Network: native sockets, 2 threads']);
    const [, ...warnings] = say([212_992, 212_992]);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /^WARN: .* 212992 bytes of the 1000000 of network\.receive_buffer_bytes/);
  });
});
