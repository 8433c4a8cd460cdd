// clientKey: one canonical text for all notations of an address.
import assert from 'node:assert/strict';
import test from 'node:test';
import sluice from '../../index.js';

const { clientKey } = sluice;

const KEYS = {
  '203.0.113.7': [
    '203.0.113.7',
    '203.0.113.7:443',
    '::ffff:203.0.113.7',
    '::FFFF:cb00:7107',
    '[::ffff:203.0.113.7]:80',
    '64:ff9b::203.0.113.7',
    '64:ff9b::cb00:7107',
  ],
  '2001:db8:1:2::': [
    '2001:db8:1:2:3:4:5:6',
    '[2001:db8:1:2:3:4:5:6]:443',
    '[2001:db8:1:2::]',
    '2001:DB8:1:2::',
    '2001:0db8:0001:0002::9%eth0',
  ],
  '::': ['::', '::1', '::203.0.113.7'],
  'fe80::': ['fe80::1', 'fe80::1%2', '[fe80::1%eth0]:80'],
  '64:ff9b:1::': ['64:ff9b:1::203.0.113.7'],
};

for (const [key, texts] of Object.entries(KEYS)) {
  test(`clientKey gives ${key} for ${texts.length} notations and for itself`, () => {
    for (const text of [...texts, key]) assert.equal(clientKey(text), key, text);
  });
}

test('ipv6Prefix is the number of bits that identify a client; IPv4 addresses are kept whole', () => {
  const address = '2001:db8:1:2ff:ffff:ffff:ffff:ffff';
  const cut = (ipv6Prefix) => clientKey(address, { ipv6Prefix });
  assert.deepEqual([128, 64, 56, 48, 32, 1].map(cut), [
    address,
    '2001:db8:1:2ff::',
    '2001:db8:1:200::',
    '2001:db8:1::',
    '2001:db8::',
    '::',
  ]);
  assert.equal(clientKey('::ffff:203.0.113.7', { ipv6Prefix: 1 }), '203.0.113.7');
  assert.equal(clientKey(address, {}), clientKey(address));
});

test('an invalid address is rejected with its value', () => {
  const texts = [
    '',
    ' ',
    'localhost',
    '1.2.3',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:99999',
    '1.2.3.4 ',
    '[::1',
    '::1]',
    '[1.2.3.4]',
    ':::',
    '1.2.3.4%eth0',
    '::1%',
    '1.2.3.4/8',
    '\ud800',
    '::ffff:999.1.1.1',
  ];
  for (const text of texts) {
    assert.throws(() => clientKey(text), { name: 'SluiceError', code: 'ERR_SLUICE_INVALID_ADDRESS' }, text);
  }
  assert.throws(() => clientKey('example.org'), {
    message: /^"example\.org" is no IP address; accepted: IPv4 or IPv6/,
  });
  assert.throws(
    () => clientKey('x'.repeat(1_000_000)),
    ({ message }) => message.length < 300,
  );
  for (const [given, shown] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
    [{}, 'an object'],
    [['::1'], 'an object'],
  ]) {
    const message = new RegExp(`^address is ${shown}; accepted: IPv4 or IPv6 as a string`);
    assert.throws(() => clientKey(given), { code: 'ERR_SLUICE_INVALID_ADDRESS', message });
  }
});

test('invalid options are rejected', () => {
  for (const ipv6Prefix of [0, 129, 1.5, '64', null]) {
    const invalid = {
      code: 'ERR_SLUICE_INVALID_OPTION',
      message: /^clientKey ipv6Prefix is .*; accepted: an integer from 1 to 128$/,
    };
    assert.throws(() => clientKey('::1', { ipv6Prefix }), invalid);
  }
  for (const options of [null, 64, { prefix: 64 }]) {
    assert.throws(() => clientKey('::1', options), { code: 'ERR_SLUICE_INVALID_OPTION' });
  }
});
