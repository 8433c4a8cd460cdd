'use strict';

const { createHmac } = require('node:crypto');
const net = require('node:net');
const { warnOfThrow } = require('../runtime/warn-of-throw');
const { secret } = require('./secret');

const SHOWN = 6;
const HASH = 6;

/** Whether a key is an address or a range of addresses, which operators must be able to read. */
function isAddress(key) {
  const [address] = key.split('/', 1);
  return net.isIP(address) !== 0;
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
