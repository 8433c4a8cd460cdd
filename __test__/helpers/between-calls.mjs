// What another thread may do between two native calls of this one.
import { createRequire } from 'node:module';

const { native } = createRequire(import.meta.url)('../../lib/runtime/native.js');

/**
 * Runs `operation()`, and `between(called)` after each native call that it makes: `called` is the name of that. Returns what
 * `operation` returns. A native call is whole to other threads, so `between` stands for all that one of them may do.
 */
export function betweenNativeCalls(operation, between) {
  const originals = Object.entries(native).filter(([, value]) => typeof value === 'function');
  let isBetween = false;
  const during = (called) => {
    if (isBetween) return;
    isBetween = true;
    try {
      between(called);
    } finally {
      isBetween = false;
    }
  };
  for (const [name, original] of originals) {
    native[name] = (...args) => {
      const result = original(...args);
      during(name);
      return result;
    };
  }
  try {
    return operation();
  } finally {
    Object.assign(native, Object.fromEntries(originals));
  }
}
