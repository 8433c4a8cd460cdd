// Cases: reputation, circuits and events of sluice.
import { createRequire } from 'node:module';
import { DAY_MS } from '../plenty.mjs';
import { addresses } from './keys.mjs';
import {
  fail,
  PEERS,
  ranges,
  rejecting,
  succeed,
  TIMEOUT_MS,
  waitAndFail,
  waitAndSucceed,
} from './traffic.mjs';

const require = createRequire(import.meta.url);
const { CircuitBreaker, Reputation, SecurityMonitor } = require('../..');

const DETAILS = ['anna', 'bert', 'carl', 'dora', 'emil', 'fred', 'gina', 'hans'];
/** With a window of time, as opossum has, that never holds enough calls to open. */
const NEVER_OPEN = { openFor: TIMEOUT_MS, window: { time: TIMEOUT_MS }, minimumCalls: 1_000_000 };

/** Every client has one failure; none is banned. */
export function reputation() {
  return reputationWith('known');
}

/** Every client is banned. */
export function banned() {
  const opened = open('banned');
  for (const ip of addresses()) opened.ban(ip, { duration: DAY_MS });
  return { call: (ip) => opened.isBanned(ip) };
}

/** As `reputation`, with denied ranges that contain no client. */
export function tenRanges() {
  return reputationWith('ten ranges', ranges(10));
}

export function manyRanges() {
  return reputationWith('many ranges', ranges(10_000));
}

/** Each client is a target. */
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
  return rejecting(firingOf(fail));
}

export function waitingAndFailing() {
  return rejecting(firingOf(waitAndFail));
}

/** Each client has met both rules before; they are muted but still count. */
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

/** With more maxFailures than any client reaches. */
function open(name, deny = []) {
  return new Reputation(name, {
    maxFailures: 1_000,
    findTime: DAY_MS,
    banTime: DAY_MS,
    maxBanTime: DAY_MS,
    deny,
  });
}
