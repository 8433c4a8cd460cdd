// The quota of everything that is measured: only where a row says *refused* is anybody.

/** So much that nobody uses it up, and so slow that no bucket is full again before the next call. */
export const PLENTY = 1e9;
export const DAY_MS = 86_400_000;
