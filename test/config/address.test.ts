import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  isWildcard,
  matchCidr,
  matchSocketAddress,
  parseCidr,
  parseSocketAddress,
} from '../../tracker/config/address.ts';
import { matchByteSize, parseByteSize } from '../../tracker/config/byte-size.ts';
import { maskMysqlUrl, matchMysqlUrl } from '../../tracker/config/mysql-url.ts';

suite('socket addresses', () => {
  test('are taken apart, IPv6 in its shortest form', () => {
    assert.deepEqual(parseSocketAddress('0.0.0.0:6969'), { host: '0.0.0.0', port: 6969, family: 4 });
    assert.deepEqual(parseSocketAddress('[::]:0'), { host: '::', port: 0, family: 6 });
    assert.deepEqual(parseSocketAddress('[2001:DB8:0::1]:65535'), {
      host: '2001:db8::1',
      port: 65535,
      family: 6,
    });
  });

  test('are refused in any other form', () => {
    for (const text of [
      '',
      ':1',
      '1.2.3.4',
      '1.2.3.4:',
      '1.2.3.4:-1',
      '1.2.3.4:99999',
      '::1:80',
      '[::1',
      '[::1]:x',
      'host:1',
    ]) {
      assert.equal(matchSocketAddress(text), undefined, text);
    }
    assert.throws(() => parseSocketAddress('host:1'), { code: 'ERR_ASSERTION' });
  });

  test('are wildcards in every spelling', () => {
    assert.deepEqual(['0.0.0.0', '::', '0:0::0', '127.0.0.1', '::1', 'nonsense'].map(isWildcard), [
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

suite('ranges of addresses', () => {
  test('are taken apart', () => {
    assert.deepEqual(parseCidr('10.0.0.0/8'), { address: '10.0.0.0', prefixBits: 8, family: 4 });
    assert.deepEqual(parseCidr('2001:db8::/32'), { address: '2001:db8::', prefixBits: 32, family: 6 });
  });

  test('are refused in any other form', () => {
    for (const text of [
      '10.0.0.0',
      '10.0.0.0/',
      '10.0.0.0/33',
      '::/129',
      'x/8',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
    ]) {
      assert.equal(matchCidr(text), undefined, text);
    }
  });
});

suite('sizes', () => {
  test('are whole bytes', () => {
    const sizes = {
      '1B': 1,
      '1kB': 1000,
      '1KiB': 1024,
      '512MiB': 536870912,
      '512Mi': 536870912,
      '1.5 GB': 1.5e9,
      '1TiB': 2 ** 40,
    };
    for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseByteSize(text), bytes, text);
  });

  test('are refused without a unit, with an unknown one, and beyond exact numbers', () => {
    for (const text of ['1', 'MiB', '1XB', '-1MiB', '99999999TiB', '1e3MiB', 'constructor']) {
      assert.equal(matchByteSize(text), undefined, text);
    }
  });
});

suite('MySQL URLs', () => {
  test('are taken apart', () => {
    assert.deepEqual(matchMysqlUrl('mysql://us%40er:p%2Fw@db:3307/torrust?x=1'), {
      host: 'db',
      port: 3307,
      user: 'us@er',
      password: 'p/w',
      database: 'torrust',
      hasParameters: true,
    });
    assert.equal(matchMysqlUrl('mysql://user@[::1]/torrust')?.host, '::1');
    assert.equal(matchMysqlUrl('mysql://user@db/torrust')?.password, undefined);
  });

  test('are refused without host or database, or with text that is not encoded', () => {
    for (const text of [
      'mysql://db',
      'mysql:///torrust',
      'mysql://u:p#w@db/x',
      'mysql://u:%zz@db/x',
      'postgres://db/x',
      '/a/b',
    ]) {
      assert.equal(matchMysqlUrl(text), undefined, text);
    }
  });

  test('are shown without their password, broken or not', () => {
    assert.equal(maskMysqlUrl('mysql://user:pass@db:3306/x'), 'mysql://user:***@db:3306/x');
    assert.equal(maskMysqlUrl('mysql://user:p@a:ss/@db/x'), 'mysql://user:***@db/x');
    assert.equal(maskMysqlUrl('mysql://db:3306/x'), 'mysql://db:3306/x');
    assert.equal(maskMysqlUrl('./sqlite3.db'), './sqlite3.db');
  });
});
