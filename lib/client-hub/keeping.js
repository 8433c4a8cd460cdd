'use strict';

const { parseDuration } = require('../options');

/** For how long a value is kept, as native code takes it. What the user's functions of the value throw comes through. */
function keepingOf({ ttl, staleWhileRevalidate, staleIfError = 0 }, value) {
  const ttlMs = timeOf('ttl', ttl, value, { forever: true });
  return {
    ttlMs: ttlMs === Number.POSITIVE_INFINITY ? undefined : ttlMs,
    staleMs: timeOf('staleWhileRevalidate', staleWhileRevalidate, value) ?? 0,
    staleIfErrorMs: staleIfError,
  };
}

/** The time that an option gives or its function says. A time that is over is 0; fractions come of arithmetic. */
function timeOf(option, given, value, { forever = false } = {}) {
  if (typeof given !== 'function') return given;
  const answer = given(value);
  if (typeof answer !== 'number') return parse(option, answer, forever);
  return answer <= 0 ? 0 : parse(option, Math.floor(answer), forever);
}

function parse(option, answer, forever) {
  return parseDuration(answer, `what ${option} returned`, { least: 0, forever });
}

module.exports = { keepingOf };
