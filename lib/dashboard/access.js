'use strict';

const net = require('node:net');
const { addressOfRequest } = require('../http/remote-address');
const { warnOfThrow } = require('../runtime/warn-of-throw');

/** Headers by which a proxy says that the client is another machine. */
const FORWARDING = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'];

const LOOPBACK = new net.BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

const ON_LOOPBACK_ONLY =
  'Without the option "authorize" this dashboard answers only on this machine: open it by ' +
  'http://localhost or a loopback address, without a proxy in between.';
const NOT_AUTHORIZED = 'You are not authorized to see this dashboard.';

/** Why a request may not see the dashboard, as a sentence; null where it may. `authorize` is the user's, if there is one. */
async function refusalOf(req, authorize) {
  if (authorize === undefined) return isLocal(req) ? null : ON_LOOPBACK_ONLY;
  try {
    return (await authorize(req)) === true ? null : NOT_AUTHORIZED;
  } catch (error) {
    warnOfThrow('SLUICE_FUNCTION_THREW', 'authorize of the dashboard', 'the request is refused', error);
    return NOT_AUTHORIZED;
  }
}

/**
 * Whether a browser on this machine sent the request to this machine. The name in `Host` counts: a page elsewhere whose
 * name leads here (DNS rebinding) would have its own.
 */
function isLocal(req) {
  const remote = addressOfRequest(req);
  if (remote === undefined || !isLoopback(remote)) return false;
  if (FORWARDING.some((header) => req.headers[header] !== undefined)) return false;
  return isLoopbackName(hostOf(req));
}

/** What the request names as its host: `Host`, or `:authority` in HTTP/2. */
function hostOf({ headers }) {
  return headers[':authority'] ?? headers.host;
}

function isLoopbackName(host) {
  if (typeof host !== 'string') return false;
  const name = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host);
  if (name === null) return false;
  const [, bracketed, plain] = name;
  return plain?.toLowerCase() === 'localhost' || isLoopback(bracketed ?? plain);
}

function isLoopback(address) {
  const family = net.isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

module.exports = { hostOf, refusalOf };
