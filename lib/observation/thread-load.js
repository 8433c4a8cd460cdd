'use strict';

const { monitorEventLoopDelay, performance } = require('node:perf_hooks');
const { threadId } = require('node:worker_threads');
const { native } = require('../runtime/native');

const INTERVAL_MS = 1000;
const RESOLUTION_MS = 20;
const NANOS = 1e6;

/** Reports this thread's event loop once a second. */
function reportLoad() {
  const delays = delayHistogram();
  let before = performance.eventLoopUtilization?.();
  const report = () => {
    const now = performance.eventLoopUtilization?.();
    const utilization = now === undefined ? 0 : performance.eventLoopUtilization(now, before).utilization;
    before = now;
    native.reportThreadLoad({
      threadId,
      utilization: Number.isFinite(utilization) ? utilization : 0,
      ...delaysOf(delays),
      heapBytes: process.memoryUsage().heapUsed,
      atMs: Date.now(),
    });
    delays?.reset();
  };
  report();
  setInterval(report, INTERVAL_MS).unref();
}

/** `undefined` where the runtime has none. */
function delayHistogram() {
  try {
    const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    delays.enable();
    return delays;
  } catch {
    return undefined;
  }
}

/** The histogram counts the timer's own interval; what is beyond it is delay. */
function delaysOf(delays) {
  if (delays === undefined || delays.count === 0) return { meanDelayMs: 0, p99DelayMs: 0, maxDelayMs: 0 };
  const beyond = (nanos) => Math.max(0, nanos / NANOS - RESOLUTION_MS);
  return {
    meanDelayMs: beyond(delays.mean),
    p99DelayMs: beyond(delays.percentile(99)),
    maxDelayMs: beyond(delays.max),
  };
}

module.exports = { reportLoad };
