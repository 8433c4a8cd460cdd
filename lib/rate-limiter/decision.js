'use strict';

const { DECISION } = require('../runtime/layouts');
const { numbers } = require('../runtime/native');

const { LIMIT, REMAINING, RESET_AFTER, RETRY_AFTER, WOULD_REFUSE, POLICY } = DECISION;

/** The decision that native code has just written. */
function readDecision(policyNames, allowed) {
  const decision = {
    allowed,
    limit: numbers[LIMIT],
    remaining: numbers[REMAINING],
    resetAfterMs: numbers[RESET_AFTER],
    retryAfterMs: numbers[RETRY_AFTER],
    policy: policyNames[numbers[POLICY]],
  };
  if (numbers[WOULD_REFUSE] >= 0) decision.wouldRefuse = numbers[WOULD_REFUSE] === 1;
  return decision;
}

module.exports = { readDecision };
