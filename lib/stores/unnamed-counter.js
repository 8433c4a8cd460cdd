'use strict';

const { randomUUID } = require('node:crypto');
const { isMainThread } = require('node:worker_threads');
const { HitCounter } = require('../hit-counter');
const { warnOnce } = require('../guard/warn-once');
const { StoreCounter } = require('./store-counter');

/** Names of this thread's counters that no other store finds. */
const names = new Set();

const collected = new FinalizationRegistry(destroy);

/** A counter of one limiter, destroyed when the limiter is collected or its thread exits. */
function unnamedCounter(owner, limiter, options) {
  warnOnce(
    'SLUICE_UNNAMED_LIMITER',
    `a ${owner} without a name counts alone in its thread; set name, or a keyPrefix of its own`,
    'See docs/stores.md',
  );
  // Test runners load this module several times in one thread, so a number would not be unique.
  const name = `${owner} ${randomUUID()}`;
  const counter = new StoreCounter(name, options);
  if (!isMainThread && names.size === 0) process.once('exit', destroyAll);
  names.add(name);
  collected.register(limiter, name);
  return counter;
}

function destroyAll() {
  for (const name of names) destroy(name);
}

function destroy(name) {
  names.delete(name);
  if (names.size === 0) process.removeListener('exit', destroyAll);
  HitCounter.destroy(name);
}

module.exports = { unnamedCounter };
