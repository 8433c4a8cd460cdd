'use strict';

const { createHmac } = require('node:crypto');
const net = require('node:net');
const { warnOfThrow } = require('../runtime/warn-of-throw');
const { secret } = require('./secret');

const SHOWN = 6;
const HASH = 6;
/** The longest prefix of a range, by the version of IP. */
const BITS = { 4: 32, 6: 128 };

/** Whether a key is an address or a range of addresses, which operators must be able to read. */
function isAddress(key) {
  const [address, prefix, ...rest] = key.split('/');
  const family = net.isIP(address);
  if (family === 0 || prefix === undefined) return family !== 0;
  return rest.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= BITS[family];
}

/** Addresses whole; of other keys the start and a hash that tells them apart. */
function shortened(key) {
  if (isAddress(key) || key === 'unknown') return key;
  const hash = createHmac('sha256', secret()).update(key).digest('hex').slice(0, HASH);
  return `${[...key].slice(0, SHOWN).join('')}…${hash}`;
}

/** `showKey` of the user, which may throw or return no text. */
function shownBy(showKey) {
  if (showKey === undefined) return shortened;
  return (key) => {
    try {
      const shown = showKey(key);
      if (typeof shown === 'string') return shown;
    } catch (error) {
      warnOfThrow('SLUICE_FUNCTION_THREW', 'showKey of the dashboard', 'keys are shortened', error);
    }
    return shortened(key);
  };
}

module.exports = { isAddress, shownBy };
