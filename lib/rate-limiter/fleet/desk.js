'use strict';

// Taken here: tests replace the global one.
const { setImmediate } = require('node:timers');
const { SluiceError } = require('../../runtime/errors');
const { FLEET_ANSWER, FLEET_ASKED, FLEET_CALL } = require('../../runtime/layouts');
const {
  integers,
  keepAlive,
  letGo,
  native,
  onProcess,
  pollOnWake,
  stopPolling,
} = require('../../runtime/native');

/** Answers that are taken at once. */
const MOST_ANSWERS = 256;

const { FLEET, DESK, OPERATION, TICKET, GATHERS } = FLEET_CALL;
const { answered: ANSWERED, left: LEFT } = FLEET_ASKED;
const { LENGTH } = FLEET_ANSWER;

/** The handle of this copy's desk, once there was a call. */
let desk;
/** Where native code leaves the answers that are taken, one behind the other; made with the desk. */
let answers;

/** Calls by ticket: an object with `settle(answers, at)` and `reject(error)`; null where nothing awaits the answer any more. */
const calls = [];
/** Tickets that no call has. */
const free = [];
/** Calls that something awaits. They keep the thread alive. */
let awaited = 0;

/** 1 while calls are expected that can go to the server together: several were made, or answered, at once before. */
let gathers = 0;
/** Calls since answers were taken last. */
let asked = 0;
/** Handles of limiters whose calls `flush` sends. */
const left = [];
let flushes = false;

/** A test has emptied every instance. What the server has charged stays charged. */
onProcess('reset', () => {
  const error = new SluiceError('CLOSED', 'everything was reset while a call to Redis was pending');
  for (const [ticket, call] of calls.entries()) {
    if (call === undefined || call === null) continue;
    abandon(ticket);
    call.reject(error);
  }
});

/** Makes a call by `ask()`, which returns what became of it. Its ticket. */
function makeCall(call, fleet, operation, ask) {
  if (desk === undefined) openDesk();
  const ticket = free.length > 0 ? free.pop() : calls.length;
  integers[FLEET] = fleet;
  integers[DESK] = desk;
  integers[OPERATION] = operation;
  integers[TICKET] = ticket;
  integers[GATHERS] = gathers;
  calls[ticket] = call;
  let became;
  try {
    became = ask();
  } catch (error) {
    release(ticket);
    throw error;
  }
  const isFirst = awaited === 0;
  if (isFirst) startAwaiting();
  awaited += 1;
  asked += 1;
  // The desk may have been rung while no call was awaited. It rings no more until this thread looks.
  if (isFirst || became === ANSWERED) takeAnswers();
  if (became === LEFT) leave(fleet);
  return ticket;
}

/** Calls of this turn of the event loop go to the server together, at its end. */
function leave(fleet) {
  if (!left.includes(fleet)) left.push(fleet);
  if (flushes) return;
  flushes = true;
  setImmediate(flush);
}

function flush() {
  flushes = false;
  for (const fleet of left) native.flushFleet(fleet);
  left.length = 0;
}

function openDesk() {
  answers = new Float64Array(MOST_ANSWERS * LENGTH);
  desk = native.openFleetDesk();
}

/** Nothing awaits the answer to a call any more. Its ticket is free once it has come. */
function abandon(ticket) {
  calls[ticket] = null;
  oneLess();
}

/** As `abandon`, where `ask()` takes the question back: it returns 1 where no answer will come. */
function withdraw(ticket, fleet, ask) {
  integers[FLEET] = fleet;
  integers[DESK] = desk;
  integers[TICKET] = ticket;
  let isWithdrawn = 0;
  try {
    isWithdrawn = ask();
  } finally {
    if (isWithdrawn === 1) release(ticket);
    else calls[ticket] = null;
    oneLess();
  }
}

function takeAnswers() {
  let count;
  do {
    count = native.takeFleetAnswers(desk, answers, MOST_ANSWERS);
    if (count > 0) {
      gathers = count > 1 || asked > 1 ? 1 : 0;
      asked = 0;
    }
    for (let at = 0; at < count * LENGTH; at += LENGTH) settle(at);
  } while (count === MOST_ANSWERS);
}

function settle(at) {
  const ticket = answers[at + FLEET_ANSWER.TICKET];
  const call = calls[ticket];
  release(ticket);
  if (call === null) return;
  oneLess();
  // Resolves a promise: no other code runs here, so the answers stay where they are.
  call.settle(answers, at);
}

function release(ticket) {
  calls[ticket] = undefined;
  free.push(ticket);
}

function startAwaiting() {
  keepAlive();
  pollOnWake(takeAnswers);
}

function oneLess() {
  awaited -= 1;
  if (awaited > 0) return;
  stopPolling(takeAnswers);
  letGo();
}

module.exports = { abandon, makeCall, withdraw };
