'use strict';

const { performance } = require('node:perf_hooks');
const { native } = require('../runtime/native');

/** Counts are compared with those of this long ago, and up to twice as long. */
const SPAN_MS = 30_000;
const S_TO_MS = 1000;

const BOUNDS_MS = native.latencyBounds().map((seconds) => seconds * S_TO_MS);

/** Earlier counts by peer: those of now are compared with `older`, and once `newer` is old enough it takes its place. */
const marks = new Map();

/**
 * How long the answers of a peer took in the last minute: `{ calls, p50Ms, p99Ms }`; null where there were none. `buckets` are
 * its counts of now, which only grow; undefined where nothing was measured yet.
 */
function recentRoundTrips(peer, buckets, now = performance.now()) {
  if (buckets === undefined || buckets === null) return null;
  const { older } = marked(peer, buckets, now);
  const recent = buckets.map((count, at) => Math.max(0, count - older[at]));
  const calls = recent.reduce((sum, count) => sum + count, 0);
  if (calls === 0) return null;
  return { calls, p50Ms: quantile(recent, calls * 0.5), p99Ms: quantile(recent, calls * 0.99) };
}

function marked(peer, buckets, now) {
  const known = marks.get(peer);
  const mark = known ?? { at: now, older: buckets, newer: buckets };
  if (known === undefined) {
    forgetOld(now);
    marks.set(peer, mark);
  } else if (now - mark.at >= SPAN_MS) {
    // Nothing was asked for a while: what was before is no longer recent.
    mark.older = now - mark.at >= 2 * SPAN_MS ? buckets : mark.newer;
    mark.newer = buckets;
    mark.at = now;
  }
  return mark;
}

/** Peers that are gone are asked for no more. */
function forgetOld(now) {
  for (const [peer, { at }] of marks) {
    if (now - at >= 4 * SPAN_MS) marks.delete(peer);
  }
}

/** The time below which `rank` calls were, as if the times of a bucket were spread evenly. */
function quantile(buckets, rank) {
  let below = 0;
  for (const [at, count] of buckets.entries()) {
    if (count > 0 && below + count >= rank) {
      const from = BOUNDS_MS[at - 1] ?? 0;
      // What is beyond all bounds is at least as long as the last one.
      const to = BOUNDS_MS[at] ?? from;
      return from + ((to - from) * (rank - below)) / count;
    }
    below += count;
  }
  return BOUNDS_MS.at(-1);
}

module.exports = { recentRoundTrips };
