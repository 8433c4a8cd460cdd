'use strict';

const { answerUpgrade } = require('../http/refuse-socket');
const { PROBLEM_MEDIA_TYPE, internalErrorProblem } = require('../http/problem');
const { warnOfThrow } = require('../runtime/warn-of-throw');

const noop = () => {};

/**
 * Decides on an upgrade: answers a refused one, and passes the session of an admitted one to `admitted`. Until then an
 * error of the socket is no uncaught exception. A socket that closes releases its session.
 */
async function decideUpgrade(sockets, req, { socket, admitted }) {
  socket.on('error', noop);
  const decided = await decideHandshake(sockets, req);
  if (decided.session === null) {
    if (!socket.destroyed) answerUpgrade(socket, decided.answer);
    return;
  }
  const { session } = decided;
  if (socket.destroyed) return session.release();
  socket.once('close', () => session.release());
  socket.off('error', noop);
  thrownOutside(() => admitted(session));
}

/** Runs the application's code: what it throws is an uncaught exception, as without a guard, not a rejection. */
function thrownOutside(run) {
  try {
    run();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

/** `{ session, answer }`: one of them is null. */
async function decideHandshake(sockets, req) {
  try {
    const { decision, session } = await sockets.decide(req);
    req.sluice = decision;
    return { session, answer: session === null ? decision : null };
  } catch (error) {
    return { session: null, answer: failed(sockets, error) };
  }
}

/** The answer where a function of the user threw, or deciding failed: nothing else would answer the client. */
function failed({ owner, guard }, error) {
  const what = `A function given to ${owner} ${JSON.stringify(guard.name)}`;
  warnOfThrow('SLUICE_FUNCTION_THREW', what, 'such requests are answered with 500', error);
  const problem = internalErrorProblem();
  const body = JSON.stringify(problem);
  const headers = { 'Content-Type': PROBLEM_MEDIA_TYPE, 'Content-Length': String(Buffer.byteLength(body)) };
  return { status: problem.status, headers, body, refusal: null };
}

module.exports = { decideHandshake, decideUpgrade, failed, thrownOutside };
