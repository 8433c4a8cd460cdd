'use strict';

const { onProcess } = require('../runtime/native');

/** Takes over the options that another construction has changed. */
const kFollow = Symbol('sluice.followOptions');

/** References to the guards of this thread. */
const guards = new Set();
const collected = new FinalizationRegistry((reference) => guards.delete(reference));

/** Has the guard follow changed options for as long as it is in use. */
function remember(guard) {
  const reference = new WeakRef(guard);
  guards.add(reference);
  collected.register(guard, reference);
}

/** Has every guard of this thread look for changed options. */
function followOptions() {
  for (const reference of guards) reference.deref()?.[kFollow]();
}

onProcess('options', followOptions);

module.exports = { followOptions, kFollow, remember };
