/** The file of bans: what comes back from it, and what becomes of files that are none. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { AddressBans } from '../tracker/address-bans.ts';
import { AddressRanges } from '../tracker/address-ranges.ts';
import { BanKeeper } from '../tracker/api/ban-keeper.ts';
import { type Ban, BanReason } from '../tracker/ban-table.ts';
import { banFile, readBanFile } from '../tracker/run/ban-file.ts';
import { openLog } from '../tracker/telemetry/log.ts';
import { addressOf } from './support/addresses.ts';

const BANS: readonly Ban[] = [
  {
    address: addressOf('203.0.113.7', 0),
    prefixBits: 32,
    reason: BanReason.wrongConnectionIds,
    beginSeconds: 1000,
    endSeconds: 4_000_000_000,
  },
  {
    address: addressOf('2001:db8::', 0),
    prefixBits: 64,
    reason: BanReason.byHand,
    beginSeconds: 1001,
    endSeconds: 0,
  },
];

function setUp(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'tracker-bans-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const { logger } = openLog(
    { filter: 'info', style: 'json' },
    { stream, isTerminal: false, hasColors: false },
  );
  return { folder, path: join(folder, 'bans.json'), lines, logger };
}

test('gives back what was saved', async (context) => {
  const { folder, path, lines, logger } = setUp(context);
  assert.deepEqual(await readBanFile(path, logger), []);
  await banFile(path).save([]);
  await banFile(path).save(BANS);
  assert.deepEqual(await readBanFile(path, logger), BANS);
  assert.deepEqual([lines, readdirSync(folder)], [[], ['bans.json']]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

describe('A file that is none of ours is set aside', () => {
  const whole = JSON.stringify({ version: 1, bans: [] });
  const ban = { address: '203.0.113.7', prefix_bits: 32, reason: 'by_hand', since: 1, until: null };
  const files: Record<string, [string, RegExp]> = {
    'when it is empty': ['', /not JSON/],
    'when it is cut': [whole.slice(0, -1), /not JSON/],
    'when it is something else': ['[1, 2]', /not of this version/],
    'when it is newer': [JSON.stringify({ version: 2, bans: [] }), /not of this version/],
    'when it has no addresses': [
      JSON.stringify({ version: 1, bans: [{ ...ban, address: 'x' }] }),
      /an address is none/,
    ],
    'when it has other networks': [
      JSON.stringify({ version: 1, bans: [{ ...ban, prefix_bits: 8 }] }),
      /an address/,
    ],
    'when it has other members': [
      JSON.stringify({ version: 1, bans: [{ ...ban, why: 1 }] }),
      /not of this version/,
    ],
  };
  for (const [title, [text, reason]] of Object.entries(files)) {
    test(title, async (context) => {
      const { path, lines, logger } = setUp(context);
      writeFileSync(path, text);
      assert.deepEqual(await readBanFile(path, logger), []);
      assert.equal(existsSync(path), false);
      assert.equal(readFileSync(`${path}.damaged`, 'utf8'), text);
      assert.equal(lines.length, 1);
      assert.match(lines[0], /"level":"warn"/);
      assert.match(lines[0], reason);
    });
  }
});

test('a file that the system does not give is an error of the start', async (context) => {
  const { folder, logger } = setUp(context);
  // A folder can't be read as a file, whoever asks.
  await assert.rejects(readBanFile(folder, logger), {
    name: 'StartError',
    message: /^The bans in .* can't be used: EISDIR/,
  });
});

test('brings back no ban that is over, and none of those who are never banned', (context) => {
  const bans = new BanKeeper(AddressBans.create(), new AddressRanges([]), null);
  context.after(() => bans.stop());
  const local: Ban = { ...BANS[1], address: addressOf('10.0.0.1'), prefixBits: 32 };
  assert.equal(bans.restore([...BANS, { ...BANS[0], endSeconds: 5000 }, local]), 2);
  assert.deepEqual(
    bans.list().map(({ beginSeconds }) => beginSeconds),
    [1001, 1000],
  );
});
