/**
 * An address that sends too many wrong connection ids is met with silence until all are forgiven. The service is asked
 * directly, because every address that a test can send from is private, and those are never banned.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Access } from '../../tracker/access.ts';
import { AddressBans } from '../../tracker/address-bans.ts';
import { validateConfig } from '../../tracker/config/validation.ts';
import { ConnectionIds } from '../../tracker/connection-id.ts';
import { ConnectionKeys } from '../../tracker/connection-keys.ts';
import { Gate } from '../../tracker/gate.ts';
import { gateSettings } from '../../tracker/run/gate-settings.ts';
import { listenerSetups } from '../../tracker/run/listener-setups.ts';
import { UdpService } from '../../tracker/net/udp-service.ts';
import { Policy } from '../../tracker/policy.ts';
import { PeerAddress } from '../../tracker/protocol/model.ts';
import { PacketMemory, UdpAction } from '../../tracker/protocol/udp.ts';
import { encodeConnectRequest, encodeScrapeRequest } from '../../tracker/protocol/udp-client.ts';
import { Counter, CounterRows } from '../../tracker/swarm/counters.ts';
import { Store } from '../../tracker/swarm/store.ts';
import { Tracker } from '../../tracker/tracker.ts';

test('ignores an address after eleven wrong connection ids, and nobody else, until the pardon', () => {
  const config = validateConfig(
    {
      metadata: { schema_version: '3.0.0' },
      logging: { trace_filter: 'off' },
      core: { listed: false, private: false },
      udp_trackers: [{}],
      udp_tracker_server: { max_connection_id_errors_per_ip: 10 },
    },
    () => 'the test',
  );
  const policy = Policy.create(config);
  const tracker = new Tracker(Store.create(2 ** 22, 1), Access.create(), policy);
  const memory = Gate.createMemory();
  const bans = AddressBans.attach(memory.bans);
  const counters = CounterRows.create(1).row(0);
  const gate = new Gate(memory, gateSettings(config), policy, counters);
  const ids = new ConnectionIds(ConnectionKeys.create());
  const [setup] = listenerSetups(config, []);
  assert(setup?.kind === 'udp');
  const service = new UdpService(setup, { tracker, ids, gate, counters });
  const input = PacketMemory.allocate(64);
  const output = PacketMemory.allocate(2048);
  const ask = (bytes: Uint8Array, lastByte: number) => {
    const source = new PeerAddress();
    source.bytes.set([203, 0, 113, lastByte]);
    source.port = 6881;
    input.bytes.set(bytes);
    service.readClock();
    return service.answer(input, 0, bytes.length, source, output, 0);
  };
  const wrong = encodeScrapeRequest(12345n, 1, [new Uint8Array(20)]);
  const connect = encodeConnectRequest(1);

  for (let i = 0; i < 11; i++) {
    assert.ok(ask(wrong, 1) > 0, `error ${i + 1} is answered`);
    assert.equal(output.view.getInt32(0), UdpAction.error);
  }
  assert.equal(ask(wrong, 1), 0);
  assert.equal(ask(connect, 1), 0);
  assert.equal(counters[Counter.udp_requests_banned], 2);
  assert.ok(ask(connect, 2) > 0);
  bans.pardon();
  assert.ok(ask(connect, 1) > 0);
});
