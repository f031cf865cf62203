/** Bans for wrong connection ids: who is ignored, who never is, and what a flood can do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressBans } from '../tracker/address-bans.ts';
import { PeerAddress } from '../tracker/protocol/model.ts';

const MAX_ERRORS = 10;

function addressOf(...bytes: number[]): PeerAddress {
  const address = new PeerAddress();
  address.bytes.set(bytes);
  address.family = bytes.length === 4 ? 4 : 6;
  return address;
}

function err(bans: AddressBans, address: PeerAddress, times: number): void {
  for (let i = 0; i < times; i++) bans.countError(address, MAX_ERRORS);
}

test('ignores an address after more errors than allowed, in every thread, until all are forgiven', () => {
  const bans = AddressBans.create();
  const otherThread = AddressBans.attach(bans.memory);
  const bad = addressOf(203, 0, 113, 1);
  err(bans, bad, MAX_ERRORS);
  assert.equal(otherThread.isBanned(bad, MAX_ERRORS), false);
  err(bans, bad, 1);
  assert.equal(otherThread.isBanned(bad, MAX_ERRORS), true);
  assert.equal(otherThread.isBanned(addressOf(203, 0, 113, 2), MAX_ERRORS), false);
  assert.equal(bans.bannedAddresses, 1);
  bans.clear();
  assert.equal(otherThread.isBanned(bad, MAX_ERRORS), false);
  assert.equal(bans.bannedAddresses, 0);
});

const PRIVATE = [
  addressOf(10, 1, 2, 3),
  addressOf(127, 0, 0, 1),
  addressOf(100, 64, 0, 1),
  addressOf(169, 254, 1, 1),
  addressOf(172, 31, 0, 1),
  addressOf(192, 168, 1, 1),
  addressOf(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  addressOf(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
  addressOf(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
];
test('never bans a private address, behind which may be a whole cluster', () => {
  const bans = AddressBans.create();
  for (const address of PRIVATE) err(bans, address, 100);
  assert.equal(bans.bannedAddresses, 0);
});

test('keeps a ban through a flood from 300,000 other addresses, and bans none of those', () => {
  const bans = AddressBans.create();
  const bad = addressOf(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  err(bans, bad, 11);
  const stranger = addressOf(8, 0, 0, 0);
  let wronged = 0;
  for (let i = 0; i < 300_000; i++) {
    stranger.words[0] = (i << 8) | 8;
    bans.countError(stranger, MAX_ERRORS);
    if (bans.isBanned(stranger, MAX_ERRORS)) wronged++;
  }
  assert.equal(wronged, 0);
  assert.equal(bans.isBanned(bad, MAX_ERRORS), true);
});
