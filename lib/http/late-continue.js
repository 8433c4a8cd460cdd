'use strict';

const { kAwaitsContinue } = require('./drain-request');

const servers = new WeakSet();

/**
 * From now on the server sends `100 Continue` when the body of a request is first read, not when its head has arrived. So
 * a refused client need not send its body. Does nothing where the application has a listener of its own. Idempotent.
 */
function continueLate(server) {
  if (servers.has(server) || typeof server?.on !== 'function') return;
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
