'use strict';

const { MIDDLEWARE, WAIT_ANSWER } = require('../../runtime/layouts');

/** The receipt lies behind `moreAfter` in both layouts. */
const RECEIPT_LENGTH = MIDDLEWARE.LENGTH - 1;

/** The decision at a place of the answers. */
function readWaitedDecision(answers, at, policyNames) {
  return {
    allowed: true,
    limit: answers[at + WAIT_ANSWER.LIMIT],
    remaining: answers[at + WAIT_ANSWER.REMAINING],
    resetAfterMs: answers[at + WAIT_ANSWER.RESET_AFTER],
    retryAfterMs: 0,
    policy: policyNames[answers[at + WAIT_ANSWER.POLICY]],
    waitedMs: answers[at + WAIT_ANSWER.WAITED_MS],
  };
}

/** What taking the charge back requires, as `undoCharge` reads it. */
function readWaitedReceipt(answers, at) {
  const first = at + WAIT_ANSWER.RECEIPT_AT;
  return answers.slice(first, first + RECEIPT_LENGTH);
}

module.exports = { readWaitedDecision, readWaitedReceipt };
