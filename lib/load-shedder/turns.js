'use strict';

const timers = require('node:timers');
const { native } = require('../runtime/native');

/** Not one that a test runner puts in its place later. */
const { setImmediate } = timers;

/** Turns are an Int32 of 1 or more; 0 says that the runtime tells of them. */
const LAST_TURN = 0x7fffffff;

let isStarted = false;
/** Whether turns are counted here, as the runtime does not tell of them. */
let counts = false;
let turn = 1;
let isEnding = false;

/** Finds out how the turns of this thread's event loop are known. */
function startTurns() {
  if (isStarted) return;
  isStarted = true;
  const { bun, deno } = process.versions;
  counts = bun !== undefined || deno !== undefined || !native.tellsOfTurns();
}

/** From now on turns are counted here, whatever the runtime tells: for tests. */
function countTurns() {
  isStarted = true;
  counts = true;
}

/** The turn that runs; 0 where the runtime tells of it. */
function currentTurn() {
  return counts ? countedTurn() : 0;
}

/** Something is asked in this turn, so its end is of interest. A turn in which nothing is asked costs nothing. */
function countedTurn() {
  if (!isEnding) {
    isEnding = true;
    setImmediate(endTurn);
  }
  return turn;
}

function endTurn() {
  isEnding = false;
  turn = turn === LAST_TURN ? 1 : turn + 1;
  native.endLap();
}

module.exports = { countTurns, currentTurn, startTurns };
