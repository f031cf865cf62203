/**
 * What counts as recent of a pod's announces: a change of the exposure shows, however long the pod ran before.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentSources } from '../../../operator/probe/recent-sources.ts';
import { sourceVerdict } from '../../../operator/status.ts';

test('tells of hidden clients two probes after they are hidden, and of seen ones two after they are seen', () => {
  const sources = new RecentSources();
  assert.equal(sourceVerdict(sources.take({ announces: 1_000_000, fromCluster: 0 })), 'seen');
  sources.take({ announces: 1_000_010, fromCluster: 10 });
  assert.equal(sourceVerdict(sources.take({ announces: 1_000_020, fromCluster: 20 })), 'hidden');
  sources.take({ announces: 1_000_040, fromCluster: 20 });
  assert.equal(sourceVerdict(sources.take({ announces: 1_000_060, fromCluster: 20 })), 'seen');
});

test('keeps its verdict while nobody announces', () => {
  const sources = new RecentSources();
  const hidden = { announces: 5, fromCluster: 5 };
  sources.take(hidden);
  for (let probe = 0; probe < 100; probe += 1) sources.take(hidden);
  assert.deepEqual(sources.take(hidden), hidden);
});

test('takes the counters of a new process as they are', () => {
  const sources = new RecentSources();
  sources.take({ announces: 100, fromCluster: 0 });
  assert.deepEqual(new RecentSources().take({ announces: 0, fromCluster: 0 }), {
    announces: 0,
    fromCluster: 0,
  });
  sources.take({ announces: 60, fromCluster: 60 });
  assert.equal(sourceVerdict(sources.take({ announces: 90, fromCluster: 90 })), 'hidden');
});
