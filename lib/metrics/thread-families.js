'use strict';

const { by, gauge } = require('./declare');

const MS = 1000;

/** Of a thread that reports its load. */
const THREAD = [
  gauge('sluice_thread_utilization', 'Share of the last second that an event loop was busy.', 'utilization'),
  gauge(
    'sluice_thread_delay_seconds',
    'Delay of an event loop in the last second: the longest, and that which 99 % stay below.',
    by('of', ({ p99DelayMs, maxDelayMs }) => ({ p99: p99DelayMs / MS, longest: maxDelayMs / MS })),
    's',
  ),
  gauge('sluice_thread_heap_bytes', 'Bytes in use on the heap of a thread.', 'heapBytes', 'By'),
];

module.exports = { THREAD };
