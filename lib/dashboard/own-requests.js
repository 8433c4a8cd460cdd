'use strict';

/** What a dashboard answers, below its mount. */
const PLACES = new Set(['', '/', '/app.js', '/app.css', '/icon.svg', '/events', '/client', '/action']);

/** Where the dashboards of this thread are mounted. */
const mounts = new Set();

/** A dashboard answers below `mount` from now on. */
function addMount(mount) {
  if (typeof mount === 'string' && mount !== '' && mount !== '/') mounts.add(mount.replace(/\/$/, ''));
}

/** Whether a request is for a dashboard: guards neither charge nor record nor count it. */
function isOwnRequest(incoming) {
  if (mounts.size === 0) return false;
  const target = incoming.originalUrl ?? incoming.url;
  if (typeof target !== 'string') return false;
  const [pathname] = target.split('?', 1);
  for (const mount of mounts) {
    if (pathname.startsWith(mount) && PLACES.has(pathname.slice(mount.length))) return true;
  }
  return false;
}

module.exports = { addMount, isOwnRequest };
