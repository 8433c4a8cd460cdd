'use strict';

/**
 * Sets the entries of a dump of rate-limiter-flexible. Returns how many were restored, had expired, or are no entries, and with
 * `isDetailed` the keys of each; undefined for another version.
 *
 * @param {(key: string | number, count: number, windowMs: number) => boolean} set false where a full table has no slot
 */
function restoreInto(data, isDetailed, set) {
  if (!isObject(data) || data.version !== 1) return undefined;
  const keys = { invalid: [], expired: [], restored: [] };
  for (const entry of Array.isArray(data.storage) ? data.storage : []) {
    const outcome = restoreEntry(entry, set);
    if (outcome !== undefined) keys[outcome].push(isObject(entry) ? entry.key : 'N/A');
  }
  const summary = (list) => (isDetailed ? { count: list.length, keys: list } : list.length);
  return {
    invalid: summary(keys.invalid),
    expired: summary(keys.expired),
    restored: summary(keys.restored),
  };
}

function restoreEntry(entry, set) {
  if (!isEntry(entry)) return 'invalid';
  const { key, value, expiresAt } = entry;
  const windowMs = expiresAt === null ? Number.POSITIVE_INFINITY : expiresAt - Date.now();
  if (windowMs <= 0) return 'expired';
  return set(key, Math.trunc(value), windowMs) ? 'restored' : undefined;
}

function isEntry(entry) {
  if (!isObject(entry)) return false;
  const { key, value, expiresAt } = entry;
  const hasKey = typeof key === 'string' || typeof key === 'number';
  const hasValue = Number.isFinite(value) && Number.isSafeInteger(Math.trunc(value));
  return hasKey && hasValue && (expiresAt === null || Number.isFinite(expiresAt));
}

const isObject = (value) => value !== null && typeof value === 'object';

module.exports = { restoreInto };
