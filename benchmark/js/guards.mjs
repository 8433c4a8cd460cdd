// Reputation, circuits and events of sluice, open for measuring.
import { createRequire } from 'node:module';
import { DAY_MS } from '../plenty.mjs';
import { addresses } from './keys.mjs';
import { fail, inVain, PEERS, ranges, succeed, TIMEOUT_MS, waitAndFail, waitAndSucceed } from './traffic.mjs';

const require = createRequire(import.meta.url);
const { CircuitBreaker, Reputation, SecurityMonitor } = require('../..');

const DETAILS = ['anna', 'bert', 'carl', 'dora', 'emil', 'fred', 'gina', 'hans'];
/** In a window of time, as opossum's, that never holds enough calls to open. */
const NEVER_OPEN = { openFor: TIMEOUT_MS, window: { time: TIMEOUT_MS }, minimumCalls: 1_000_000 };

/** All clients are known, by a failure each, and none is banned. */
export function reputation() {
  return reputationWith('known');
}

/** All are banned. */
export function banned() {
  const opened = open('banned');
  for (const ip of addresses()) opened.ban(ip, { duration: DAY_MS });
  return { call: (ip) => opened.isBanned(ip) };
}

/** As `reputation`, with ranges that are denied, of which none holds a client. */
export function tenRanges() {
  return reputationWith('ten ranges', ranges(10));
}

export function manyRanges() {
  return reputationWith('many ranges', ranges(10_000));
}

/** Each client is a peer. */
export function permits() {
  const breaker = new CircuitBreaker('permits', { openFor: TIMEOUT_MS, maxPeers: 20_000 });
  return {
    call: (peer) => {
      const permit = breaker.tryAcquire(peer);
      permit.success();
      return permit;
    },
  };
}

export function firing() {
  return firingOf(succeed);
}

export function firingWithoutTimeout() {
  return firingOf(succeed, new CircuitBreaker('without timeout', NEVER_OPEN));
}

export function waiting() {
  return firingOf(waitAndSucceed);
}

export function failing() {
  return inVain(firingOf(fail));
}

export function waitingAndFailing() {
  return inVain(firingOf(waitAndFail));
}

/** Each client has met both rules, which are silent and judge on. */
export function recording() {
  const met = { event: 'login-failed', count: 5, window: '1m', mute: DAY_MS, action: 'alert' };
  const rules = [
    { ...met, name: 'many' },
    { ...met, name: 'different', distinct: true },
  ];
  const monitor = new SecurityMonitor('events', { rules });
  const details = DETAILS.length - 1; // a power of two less one
  let calls = 0;
  const call = (ip) => monitor.record('login-failed', ip, DETAILS[calls++ & details]) === undefined;
  return { call, first: DETAILS.flatMap(() => addresses()) };
}

function firingOf(fn, breaker = new CircuitBreaker('firing', { ...NEVER_OPEN, timeout: TIMEOUT_MS })) {
  return { items: PEERS, isAsync: true, call: (peer) => breaker.fire(peer, fn) };
}

function reputationWith(name, deny = []) {
  const opened = open(name, deny);
  for (const ip of addresses()) opened.recordFailure(ip);
  return { call: (ip) => !opened.isBanned(ip) };
}

/** Nobody fails so often. */
function open(name, deny = []) {
  return new Reputation(name, {
    maxFailures: 1_000,
    findTime: DAY_MS,
    banTime: DAY_MS,
    maxBanTime: DAY_MS,
    deny,
  });
}
