'use strict';

/** The paths that lifecycles of this thread answer probes at. */
const declared = new Set();

/** The same below the mounts of middleware, as probes have shown. Bounded: a mount may have parameters. */
const learned = new Set();
const MOST_LEARNED = 64;

function addProbePath(path) {
  declared.add(path);
}

/** A lifecycle has answered this request as a probe. */
function learnProbe(req) {
  const path = pathOf(req);
  if (declared.has(path) || learned.size >= MOST_LEARNED) return;
  learned.add(path);
}

/** Whether a request is a probe of a lifecycle. */
function isProbe(req) {
  if (declared.size === 0 || (req.method !== 'GET' && req.method !== 'HEAD')) return false;
  const path = pathOf(req);
  return declared.has(path) || learned.has(path);
}

function pathOf({ originalUrl, url }) {
  const target = originalUrl ?? url;
  return typeof target === 'string' ? target.split('?', 1)[0] : undefined;
}

module.exports = { addProbePath, isProbe, learnProbe };
