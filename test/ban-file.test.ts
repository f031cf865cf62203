/** The file of bans: what comes back from it, and what becomes of files that are none. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { AddressBans } from '../tracker/address-bans.ts';
import { AddressClass, AddressRanges } from '../tracker/address-ranges.ts';
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

test('is written for its owner alone, whatever lies where it is written', async (context) => {
  const { folder, path, lines, logger } = setUp(context);
  const stranger = join(folder, 'stranger');
  writeFileSync(stranger, 'as it was', { mode: 0o644 });
  symlinkSync(stranger, `${path}.new`);
  await banFile(path).save(BANS);
  assert.deepEqual([readFileSync(stranger, 'utf8'), await readBanFile(path, logger)], ['as it was', BANS]);
  writeFileSync(`${path}.new`, 'of a process that was killed', { mode: 0o644 });
  await banFile(path).save(BANS);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(lines, []);
});

describe('A file that is none of ours is set aside', () => {
  const whole = JSON.stringify({ version: 1, bans: [] });
  const ban = { address: '203.0.113.7', prefix_bits: 32, reason: 'by_hand', since: 1, until: null };
  const withBan = (changed: object) => JSON.stringify({ version: 1, bans: [{ ...ban, ...changed }] });
  const files: Record<string, [text: string, reason: string]> = {
    'when it is empty': ['', 'damaged'],
    'when it is cut': [whole.slice(0, -1), 'damaged'],
    'when it is something else': ['[1, 2]', 'foreign'],
    'when it is newer': [JSON.stringify({ version: 2, bans: { all: [] } }), 'newer'],
    'when it has no addresses': [withBan({ address: 'x' }), 'damaged'],
    'when it has other networks': [withBan({ prefix_bits: 8 }), 'damaged'],
    'when it has other members': [withBan({ why: 1 }), 'damaged'],
  };
  for (const [title, [text, reason]] of Object.entries(files)) {
    test(title, async (context) => {
      const { folder, path, lines, logger } = setUp(context);
      // What was set aside before, by whomever, is not overwritten.
      const before = `${path}.${reason}-20260101T000000000Z`;
      writeFileSync(before, 'before');
      writeFileSync(path, text);
      assert.deepEqual(await readBanFile(path, logger), []);
      assert.equal(existsSync(path), false);
      const names = readdirSync(folder).filter((name) => name.startsWith(`bans.json.${reason}-`));
      const texts = names.map((name) => readFileSync(join(folder, name), 'utf8'));
      assert.deepEqual(texts.toSorted(), ['before', text].toSorted());
      assert.equal(lines.length, 1);
      assert.match(lines[0], /"level":"warn".*nobody is banned, and it is set aside as/);
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

test('a network is banned though one of its addresses never is', async (context) => {
  const exempt = (range: string) => ({ range, classes: AddressClass.exemptFromBans });
  const ranges = new AddressRanges([exempt('203.0.113.0/32'), exempt('198.51.100.0/24')]);
  const bans = new BanKeeper(AddressBans.create(), ranges, null);
  context.after(() => bans.stop());
  assert.equal(typeof (await bans.impose(addressOf('203.0.113.0', 0), 24, null)), 'object');
  assert.equal(await bans.impose(addressOf('203.0.113.0', 0), 32, null), 'never_banned');
  assert.equal(await bans.impose(addressOf('198.51.100.0', 0), 24, null), 'never_banned');
  assert.equal(bans.list().length, 1);
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
