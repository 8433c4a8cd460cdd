'use strict';

const { ADMITTED, DECISION, IN_NUMBERS, LARGE_DECISION, MIDDLEWARE, REFUSED } = require('../runtime/layouts');
const { integers, noAnswer, numbers } = require('../runtime/native');

const { ANSWER, LIMIT, REMAINING, RESET_AFTER, RETRY_AFTER, POLICY } = DECISION;
const { MORE_AFTER } = MIDDLEWARE;

/** The decision that native code has just left. */
function readDecision(policyNames) {
  const answer = integers[ANSWER];
  if (answer !== ADMITTED && answer !== REFUSED) return readLargeDecision(policyNames);
  return {
    allowed: answer === ADMITTED,
    limit: integers[LIMIT],
    remaining: integers[REMAINING],
    resetAfterMs: integers[RESET_AFTER],
    retryAfterMs: integers[RETRY_AFTER],
    policy: policyNames[integers[POLICY]],
  };
}

/** As `readDecision`, with what only middleware asks for: part of the literal, as a property that is added costs more. */
function readForMiddleware(policyNames) {
  const answer = integers[ANSWER];
  const moreAfterMs = numbers[MORE_AFTER];
  if (answer !== ADMITTED && answer !== REFUSED) {
    return Object.assign(readLargeDecision(policyNames), { moreAfterMs });
  }
  return {
    allowed: answer === ADMITTED,
    limit: integers[LIMIT],
    remaining: integers[REMAINING],
    resetAfterMs: integers[RESET_AFTER],
    retryAfterMs: integers[RETRY_AFTER],
    policy: policyNames[integers[POLICY]],
    moreAfterMs,
  };
}

/** A decision that is not of integers alone, or of a dry run. */
function readLargeDecision(policyNames) {
  if (integers[ANSWER] !== IN_NUMBERS) noAnswer();
  const decision = {
    allowed: numbers[LARGE_DECISION.ALLOWED] === 1,
    limit: numbers[LARGE_DECISION.LIMIT],
    remaining: numbers[LARGE_DECISION.REMAINING],
    resetAfterMs: numbers[LARGE_DECISION.RESET_AFTER],
    retryAfterMs: numbers[LARGE_DECISION.RETRY_AFTER],
    policy: policyNames[integers[POLICY]],
  };
  const wouldRefuse = numbers[LARGE_DECISION.WOULD_REFUSE];
  if (wouldRefuse >= 0) decision.wouldRefuse = wouldRefuse === 1;
  return decision;
}

module.exports = { readDecision, readForMiddleware };
