/** Policies in shared words: what one thread sets, another reads, whatever the configuration allows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateConfig } from '../tracker/config/validation.ts';
import { Policy } from '../tracker/policy.ts';

function configWith(seconds: number) {
  return validateConfig(
    {
      metadata: { schema_version: '3.0.0' },
      logging: { trace_filter: 'off' },
      core: {
        listed: false,
        private: false,
        announce_policy: { interval: seconds, interval_min: seconds },
        tracker_policy: { max_peer_timeout: seconds },
      },
    },
    () => 'the test',
  );
}

test('another thread reads what a reload applied', () => {
  const policy = Policy.create(configWith(300));
  const elsewhere = Policy.attach(policy.buffer);
  assert.equal(elsewhere.intervalSeconds, 300);
  policy.apply(configWith(600));
  assert.deepEqual(
    [elsewhere.intervalSeconds, elsewhere.minIntervalSeconds, elsewhere.peerTimeoutSeconds],
    [600, 600, 600],
  );
});

test('the largest numbers of a configuration do not turn negative', () => {
  const policy = Policy.create(configWith(4_294_967_295));
  for (const seconds of [policy.intervalSeconds, policy.minIntervalSeconds, policy.peerTimeoutSeconds]) {
    assert.equal(seconds, 2 ** 31 - 2);
  }
});
