// What another thread may do between two native calls of this one.
import { createRequire } from 'node:module';

const { native } = createRequire(import.meta.url)('../../lib/runtime/native.js');

/**
 * Runs `operation()`, and `between()` after each native call that it makes, until that returns something true. Returns what
 * `operation` returns. A native call is whole to other threads, so `between` stands for all that one of them may do.
 */
export function betweenNativeCalls(operation, between) {
  const originals = Object.entries(native).filter(([, value]) => typeof value === 'function');
  let isOver = false;
  const intervene = () => {
    if (isOver) return;
    // Not between its own calls.
    isOver = true;
    isOver = Boolean(between());
  };
  for (const [name, original] of originals) {
    native[name] = (...args) => {
      const result = original(...args);
      intervene();
      return result;
    };
  }
  try {
    return operation();
  } finally {
    Object.assign(native, Object.fromEntries(originals));
  }
}
