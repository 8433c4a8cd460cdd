'use strict';

/** What a dashboard answers, below its mount. */
const PLACES = new Set([
  '',
  '/',
  '/app.js',
  '/app.css',
  '/icon.svg',
  '/events',
  '/snapshot',
  '/client',
  '/action',
]);

/** The most mounts that are known from requests only: a mount with parameters has as many as there are paths. */
const MOST_LEARNED = 256;

/** Where the dashboards of this thread are mounted. Those that ignore case are in lower case. */
const mounts = { exact: new Set(), lower: new Set() };

/** Mounts that requests have shown, the oldest first, each with the set that has it. */
const learned = new Map();

/** A dashboard answers below `mount` from now on, in any case of its letters with `ignoresCase`. */
function addMount(mount, ignoresCase = false) {
  const one = normal(mount, ignoresCase);
  if (one === undefined) return;
  setOf(ignoresCase).add(one);
  // It is forgotten no longer.
  learned.delete(one);
}

/** As `addMount`, of a mount that a request was for; the oldest of too many is forgotten. */
function learnMount(mount, ignoresCase) {
  const one = normal(mount, ignoresCase);
  const known = setOf(ignoresCase);
  if (one === undefined || known.has(one)) return;
  if (learned.size >= MOST_LEARNED) {
    const [[oldest, from]] = learned;
    learned.delete(oldest);
    from.delete(oldest);
  }
  known.add(one);
  learned.set(one, known);
}

function setOf(ignoresCase) {
  return ignoresCase ? mounts.lower : mounts.exact;
}

function normal(mount, ignoresCase) {
  if (typeof mount !== 'string' || mount === '' || mount === '/') return undefined;
  const one = mount.replace(/\/$/, '');
  return ignoresCase ? one.toLowerCase() : one;
}

/** Whether a request is for a dashboard: guards neither charge nor record nor count it. */
function isOwnRequest(incoming) {
  if (mounts.exact.size === 0 && mounts.lower.size === 0) return false;
  const target = incoming.originalUrl ?? incoming.url;
  if (typeof target !== 'string') return false;
  const [pathname] = target.split('?', 1);
  if (isBelow(mounts.exact, pathname)) return true;
  return mounts.lower.size > 0 && isBelow(mounts.lower, pathname.toLowerCase());
}

function isBelow(known, pathname) {
  if (known.has(pathname)) return true;
  const end = pathname.lastIndexOf('/');
  return end > 0 && known.has(pathname.slice(0, end)) && PLACES.has(pathname.slice(end));
}

module.exports = { addMount, isOwnRequest, learnMount };
