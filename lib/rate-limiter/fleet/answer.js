'use strict';

const { DECIDED_BY, FLEET_ANSWER, FLEET_SOURCE, MIDDLEWARE } = require('../../runtime/layouts');
const { integers, numbers } = require('../../runtime/native');

const { ALLOWED, CODE, LIMIT, POLICY, REMAINING, RESET_AFTER, RETRY_AFTER, WOULD_REFUSE } = FLEET_ANSWER;

/** In the order of their codes. */
const sources = Object.keys(FLEET_SOURCE);

/** Whether a decision is made without the server, and not by units that it has granted. */
const isDegraded = (source) => source !== 'redis' && source !== 'lease';

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
    degraded: isDegraded(source),
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

/** As `readReceipt`, of the synchronous call that was just decided. */
function readLeftReceipt() {
  const first = MIDDLEWARE.RECEIPT_AT;
  return { source: integers[DECIDED_BY.SOURCE], receipt: numbers.slice(first, first + RECEIPT_LENGTH) };
}

/** Says of the decision of the synchronous call that was just made what made it. */
function markSource(decision) {
  decision.source = sources[integers[DECIDED_BY.SOURCE]];
  decision.degraded = isDegraded(decision.source);
  return decision;
}

/** The receipt lies behind `moreAfter` in both layouts. */
const RECEIPT_LENGTH = MIDDLEWARE.LENGTH - 1;

module.exports = { markSource, readFleetDecision, readLeftReceipt, readReceipt };
