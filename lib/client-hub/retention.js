'use strict';

const { parseDuration } = require('../runtime/schema');
const { NONE } = require('../runtime/none');

/** How long a value is kept, for native code. Throws what the user's functions throw. */
function retentionOf({ ttl, staleWhileRevalidate, staleIfError = 0 }, value) {
  const ttlMs = timeOf('ttl', ttl, value, { forever: true });
  return {
    ttlMs: ttlMs === Number.POSITIVE_INFINITY ? undefined : ttlMs,
    staleMs: timeOf('staleWhileRevalidate', staleWhileRevalidate, value) ?? 0,
    staleIfErrorMs: staleIfError,
  };
}

/**
 * The duration of an option, or of its function's result: a negative number counts as 0, a fraction is rounded down.
 */
function timeOf(option, given, value, { forever = false } = NONE) {
  if (typeof given !== 'function') return given;
  const answer = given(value);
  if (typeof answer !== 'number') return parse(option, answer, forever);
  return answer <= 0 ? 0 : parse(option, Math.floor(answer), forever);
}

function parse(option, answer, forever) {
  return parseDuration(answer, `what ${option} returned`, { least: 0, forever });
}

module.exports = { retentionOf };
