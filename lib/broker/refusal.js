'use strict';

const { SluiceError } = require('../runtime/errors');
const { UNRESERVED } = require('../runtime/layouts');

/** What native code returns where it reserves nothing: -1 for the first code, -2 for the second. */
const NO_ENDPOINT = -1 - UNRESERVED.noEndpoint;
const FULL = -1 - UNRESERVED.full;
const GONE = -1 - UNRESERVED.gone;

/** Whether capacity was reserved for a call or message. */
function isReserved(answer) {
  return answer > 0;
}

/** Why it was not. `served` gives the names of endpoints for the message. */
function refusal(answer, { title, endpoint, to, inbox, served }) {
  const what = endpoint === undefined ? 'the message' : `the call of ${JSON.stringify(endpoint)}`;
  switch (answer) {
    case NO_ENDPOINT: {
      const names = served().map((name) => JSON.stringify(name));
      const message = `${title}: nobody serves ${JSON.stringify(endpoint)}; served now: ${names.join(', ') || 'none'}`;
      return new SluiceError('NO_ENDPOINT', message);
    }
    case FULL: {
      const whom = to === undefined ? 'every peer that serves it' : `peer "${to}"`;
      const message = `${title}: ${whom} has no room for ${what}: ${inbox} wait or are worked on; wait for "drain"`;
      return new SluiceError('BACKPRESSURE', message);
    }
    case GONE:
      return new SluiceError('PEER_GONE', `${title}: there is no peer "${to}" for ${what}`);
    default:
      return closedError(title);
  }
}

function closedError(title) {
  return new SluiceError('CLOSED', `${title}: this thread has left it; make a new Broker to join again`);
}

module.exports = { FULL, closedError, isReserved, refusal };
