// The quota of all limiters measured, except in rows named *refused*.

/** More than a run uses up, with a refill too slow to fill a bucket again before the next call. */
export const PLENTY = 1e9;
export const DAY_MS = 86_400_000;

/** With as much of it, a bucket is not full again during a run: the state of each client stays live. */
export const TEN_YEARS_MS = 3650 * DAY_MS;
