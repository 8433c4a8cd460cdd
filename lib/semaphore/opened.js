'use strict';

const { handlesOf, native } = require('../runtime/native');
const { openNamed } = require('../runtime/on-mismatch');
const { ThreadSemaphore } = require('./thread-semaphore');

/** By handle. All `Semaphore` objects of this thread with one name share it. */
const semaphores = new Map();

/** A handle is released when its `ThreadSemaphore` is collected. */
const collected = handlesOf(native.releaseSemaphore);
const forgotten = new FinalizationRegistry((handle) => {
  if (semaphores.get(handle)?.deref() === undefined) semaphores.delete(handle);
});

/** The semaphore of a name as this thread sees it. `options` are those that were given, `checked` those for native code. */
function openSemaphore(name, options, checked) {
  const open = (reconfigures) => native.openSemaphore(name, checked, reconfigures);
  const handle = openNamed('Semaphore', name, options, open);
  const existing = semaphores.get(handle)?.deref();
  if (existing !== undefined) {
    native.releaseSemaphore(handle);
    return existing;
  }
  const semaphore = new ThreadSemaphore(name, handle);
  semaphores.set(handle, new WeakRef(semaphore));
  collected.register(semaphore, handle);
  forgotten.register(semaphore, handle);
  return semaphore;
}

module.exports = { openSemaphore };
