/** Bans for wrong connection ids: who is ignored, until when, and what a flood can do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AddressBans } from '../tracker/address-bans.ts';
import { BanReason } from '../tracker/ban-table.ts';
import type { PeerAddress } from '../tracker/protocol/model.ts';
import { addressOf, ipv4Address } from './support/addresses.ts';

const MAX_ERRORS = 10;
const NOW = 1000;

function err(bans: AddressBans, address: PeerAddress, times: number): void {
  for (let i = 0; i < times; i++) bans.countError(address, MAX_ERRORS, NOW);
}

function isBanned(bans: AddressBans, address: PeerAddress, nowSeconds = NOW): boolean {
  return bans.table.reasonOf(address, nowSeconds) !== BanReason.none;
}

test('ignores an address after more errors than allowed, in every thread, until all are forgiven', () => {
  const bans = AddressBans.create();
  const otherThread = AddressBans.attach(bans.memory);
  const bad = addressOf('203.0.113.1');
  err(bans, bad, MAX_ERRORS);
  assert.equal(isBanned(otherThread, bad), false);
  err(bans, bad, 1);
  assert.equal(isBanned(otherThread, bad), true);
  assert.equal(isBanned(otherThread, addressOf('203.0.113.2')), false);
  assert.equal(bans.table.size, 1);
  bans.pardon();
  assert.equal(isBanned(otherThread, bad), false);
  assert.equal(bans.table.size, 0);
  err(bans, bad, MAX_ERRORS);
  assert.equal(isBanned(otherThread, bad), false);
});

test('says that such a ban ends with the next pardon', () => {
  const bans = AddressBans.create();
  bans.expectPardon(NOW + 3600);
  const bad = addressOf('2001:db8::1');
  err(bans, bad, MAX_ERRORS + 1);
  const [ban] = bans.table.list();
  assert.deepEqual([ban.prefixBits, ban.beginSeconds, ban.endSeconds], [128, NOW, NOW + 3600]);
  assert.equal(isBanned(bans, bad, NOW + 3600), false);
});

test('pardons nobody whom somebody banned by hand', () => {
  const bans = AddressBans.create();
  const address = addressOf('203.0.113.1');
  bans.table.add({ address, prefixBits: 32, reason: BanReason.byHand, beginSeconds: NOW, endSeconds: 0 });
  bans.pardon();
  assert.equal(isBanned(bans, address), true);
});

test('counts anew after the ban of an address was lifted', () => {
  const bans = AddressBans.create();
  const bad = addressOf('203.0.113.1');
  err(bans, bad, MAX_ERRORS + 1);
  bans.table.remove(bad, 32);
  bans.forget(bad);
  err(bans, bad, MAX_ERRORS);
  assert.equal(isBanned(bans, bad), false);
  err(bans, bad, 1);
  assert.equal(isBanned(bans, bad), true);
});

test('keeps a ban through a flood from 300,000 other addresses, and bans none of those', () => {
  const bans = AddressBans.create();
  const bad = addressOf('2001:db8::1');
  err(bans, bad, 11);
  let wronged = 0;
  for (let i = 0; i < 300_000; i++) {
    const stranger = ipv4Address(0x08000000 + i);
    bans.countError(stranger, MAX_ERRORS, NOW);
    if (isBanned(bans, stranger)) wronged++;
  }
  assert.equal(wronged, 0);
  assert.equal(isBanned(bans, bad), true);
});
