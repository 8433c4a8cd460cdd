'use strict';

const { MAX_TIMER_MS } = require('../../runtime/deadline');
const { WAIT, WAIT_ANSWER } = require('../../runtime/layouts');
const {
  keepAlive,
  letGo,
  native,
  numbers,
  onProcess,
  pollOnWake,
  stopPolling,
} = require('../../runtime/native');

/** Outcomes that are taken at once. */
const MOST_ANSWERS = 256;

/** No timer of Node is shorter. */
const LEAST_TIMER_MS = 1;

const { LENGTH, ID } = WAIT_ANSWER;

/** The handle of what waits in this copy, once a call did; and where native code leaves outcomes. */
let waits;
let answers;

/** Calls that wait, by their numbers: each has `id` and `settle(answers, at)`. They keep the thread alive. */
const calls = new Map();

/** Whether the calls keep the thread alive. */
let isKept = false;

/** The one timer of this thread; and when it is to fire, in milliseconds of `elapsed`. */
let timer;
let due = Number.POSITIVE_INFINITY;

/** Clears `timer`: a test may replace the global functions after it was set. */
let clear;

/** A microtask will lay the lines anew that calls have left. */
let isSettleDue = false;

onProcess('clock', followClock);
onProcess('reset', look);

/** The handle for calls that ask to wait. */
function waitsOfThread() {
  if (waits === undefined) {
    answers = new Float64Array(MOST_ANSWERS * LENGTH);
    waits = native.openWaits();
  }
  return waits;
}

/** A call has joined a line: native code has left its number, and when to look. */
function enter(call) {
  call.id = numbers[WAIT.VALUE];
  const lookAt = numbers[WAIT.LOOK_AT];
  const timerMs = numbers[WAIT.TIMER_MS];
  calls.set(call.id, call);
  if (!isKept) {
    keepAlive();
    // After: where the stack overflows in there, nothing is to be let go.
    isKept = true;
    pollOnWake(look);
  }
  arm(lookAt, timerMs);
}

/** A call stops waiting. Those behind it move ahead at the end of this turn, once for all that leave in it. */
function leave(id) {
  native.leaveLine(waits, id);
  remove(id);
  if (isSettleDue) return;
  isSettleDue = true;
  Promise.resolve().then(settleLines);
}

function settleLines() {
  isSettleDue = false;
  native.settleLines(waits);
  arm(numbers[WAIT.LOOK_AT], numbers[WAIT.TIMER_MS]);
}

/** Settles the calls that are due, and those that ended otherwise. */
function look() {
  if (calls.size === 0) return;
  let count;
  let lookAt;
  let timerMs;
  do {
    count = native.takeWaits(waits, answers, MOST_ANSWERS);
    lookAt = numbers[WAIT.LOOK_AT];
    timerMs = numbers[WAIT.TIMER_MS];
    for (let at = 0; at < count * LENGTH; at += LENGTH) settle(at);
  } while (count === MOST_ANSWERS);
  arm(lookAt, timerMs);
}

/** Settles a promise: no other code runs here, so the answers stay where they are. */
function settle(at) {
  const id = answers[at + ID];
  const call = calls.get(id);
  // One that has left may have been charged just before.
  if (call === undefined) return;
  remove(id);
  call.settle(answers, at);
}

function remove(id) {
  if (!calls.delete(id) || calls.size > 0) return;
  disarm();
  if (!isKept) return;
  isKept = false;
  stopPolling(look);
  letGo();
}

/**
 * Looks again at that time, at the latest: so many milliseconds from now. Timers of Node.js may fire a fraction of a
 * millisecond early. What is due by then is taken, as calls may be looked at from their moments on.
 */
function arm(lookAt, timerMs) {
  if (lookAt >= due || calls.size === 0) return;
  disarm();
  clear = clearTimeout;
  timer = setTimeout(onTime, Math.min(Math.max(Math.ceil(timerMs), LEAST_TIMER_MS), MAX_TIMER_MS));
  due = lookAt;
}

function disarm() {
  clear?.(timer);
  clear = undefined;
  timer = undefined;
  due = Number.POSITIVE_INFINITY;
}

function onTime() {
  // It has fired, and needs no clearing.
  clear = undefined;
  disarm();
  look();
}

/** A test has moved the clock, stopped it or lets it run again: the timer is of another clock. */
function followClock() {
  disarm();
  look();
}

module.exports = { enter, leave, waitsOfThread };
