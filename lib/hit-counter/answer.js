'use strict';

const { DONE, HITS, IN_NUMBERS, LARGE_HITS } = require('../runtime/layouts');
const { integers, noAnswer, numbers } = require('../runtime/native');

const { ANSWER, COUNT, LEFT, FIRST } = HITS;

/** The count that native code has just left. */
function readHits() {
  if (integers[ANSWER] !== DONE) return readLargeHits();
  return { count: integers[COUNT], leftMs: integers[LEFT], first: integers[FIRST] === 1 };
}

/** A count that is not of integers alone. */
function readLargeHits() {
  if (integers[ANSWER] !== IN_NUMBERS) noAnswer();
  return {
    count: numbers[LARGE_HITS.COUNT],
    leftMs: numbers[LARGE_HITS.LEFT],
    first: integers[FIRST] === 1,
  };
}

module.exports = { readHits };
