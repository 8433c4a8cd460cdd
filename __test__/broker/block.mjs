/** Blocks the thread of `peer`. Resolves once it is blocked, with a function that unblocks it. */
export async function block(peer) {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const unblocked = peer.run((_, words) => {
    Atomics.store(words, 0, 1);
    Atomics.notify(words, 0);
    Atomics.wait(words, 1, 0);
  }, words);
  await Atomics.waitAsync(words, 0, 0).value;
  return () => {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    return unblocked;
  };
}
