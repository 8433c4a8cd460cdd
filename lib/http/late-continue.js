'use strict';

const { kAwaitsContinue } = require('./drain-request');

const servers = new WeakSet();

/**
 * From now on `100 Continue` is sent when the body of a request is first read, not before the request is looked at: a
 * client that is refused need not send its body. A listener of the application's own keeps its say. Idempotent.
 */
function continueLate(server) {
  if (servers.has(server)) return;
  servers.add(server);
  server.on('checkContinue', onExpectation);
}

function onExpectation(req, res) {
  if (this.listenerCount('checkContinue') > 1) return;
  const { _read } = req;
  req[kAwaitsContinue] = true;
  req._read = function (size) {
    if (req[kAwaitsContinue] && !res.headersSent) {
      req[kAwaitsContinue] = false;
      res.writeContinue();
    }
    return _read.call(this, size);
  };
  this.emit('request', req, res);
}

module.exports = { continueLate };
