'use strict';

const { FLEET_ANSWER, FLEET_SOURCE, MIDDLEWARE } = require('../../runtime/layouts');

const { ALLOWED, CODE, LIMIT, POLICY, REMAINING, RESET_AFTER, RETRY_AFTER, WOULD_REFUSE } = FLEET_ANSWER;

/** In the order of their codes. */
const sources = Object.keys(FLEET_SOURCE);

/** The decision at a place of the answers. `degraded`: the server did not decide it. */
function readFleetDecision(answers, at, policyNames) {
  const source = sources[answers[at + CODE]];
  const decision = {
    allowed: answers[at + ALLOWED] === 1,
    limit: answers[at + LIMIT],
    remaining: answers[at + REMAINING],
    resetAfterMs: answers[at + RESET_AFTER],
    retryAfterMs: answers[at + RETRY_AFTER],
    policy: policyNames[answers[at + POLICY]],
    source,
    degraded: source !== 'redis',
  };
  const wouldRefuse = answers[at + WOULD_REFUSE];
  if (wouldRefuse >= 0) decision.wouldRefuse = wouldRefuse === 1;
  return decision;
}

/** What taking the charge back requires: by what it was made, and the numbers as `undoCharge` reads them. */
function readReceipt(answers, at) {
  const first = at + FLEET_ANSWER.RECEIPT_AT;
  return { source: answers[at + CODE], receipt: answers.slice(first, first + RECEIPT_LENGTH) };
}

/** The receipt lies behind `moreAfter` in both layouts. */
const RECEIPT_LENGTH = MIDDLEWARE.LENGTH - 1;

module.exports = { readFleetDecision, readReceipt };
