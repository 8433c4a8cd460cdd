'use strict';

const { SluiceError } = require('../../runtime/errors');
const { FLEET_ANSWER, FLEET_CALL } = require('../../runtime/layouts');
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

const { FLEET, DESK, OPERATION, TICKET } = FLEET_CALL;
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

/** A test has emptied every instance. What the server has charged stays charged. */
onProcess('reset', () => {
  const error = new SluiceError('CLOSED', 'everything was reset while a call to Redis was pending');
  for (const [ticket, call] of calls.entries()) {
    if (call === undefined || call === null) continue;
    abandon(ticket);
    call.reject(error);
  }
});

/** Makes a call by `ask()`, which returns 1 where its answer lies on the desk already. Its ticket. */
function makeCall(call, fleet, operation, ask) {
  if (desk === undefined) openDesk();
  const ticket = free.length > 0 ? free.pop() : calls.length;
  integers[FLEET] = fleet;
  integers[DESK] = desk;
  integers[OPERATION] = operation;
  integers[TICKET] = ticket;
  calls[ticket] = call;
  let isAnswered;
  try {
    isAnswered = ask();
  } catch (error) {
    release(ticket);
    throw error;
  }
  const isFirst = awaited === 0;
  if (isFirst) startAwaiting();
  awaited += 1;
  // The desk may have been rung while no call was awaited. It rings no more until this thread looks.
  if (isFirst || isAnswered === 1) takeAnswers();
  return ticket;
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
