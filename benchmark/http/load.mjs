// Generates the load with autocannon in a separate process, and records the time of each answer, as autocannon's own
// histogram rounds to milliseconds.
import autocannon from 'autocannon';
import { answerWith } from '../child.mjs';

/** How often autocannon looks whether its time is over: a load ends so many milliseconds late at most. */
const LOOKED_EVERY_MS = 10;

answerWith(async ({ port, seconds, connections, sleeps }) => {
  const times = [];
  const connected = new Set();
  const run = autocannon({
    url: `http://127.0.0.1:${port}/`,
    connections,
    pipelining: 1,
    duration: seconds,
    sampleInt: LOOKED_EVERY_MS,
  });
  // The time of a connection's first answer has that of connecting in it.
  run.on('response', (client, _status, _bytes, ms) => {
    if (connected.has(client)) times.push(ms);
    else connected.add(client);
  });
  const startedAt = performance.now();
  const result = await (sleeps ? run : awake(run));
  const elapsed = (performance.now() - startedAt) / 1000;
  const failed = result.errors + result.timeouts + result.non2xx;
  if (failed > 0) throw new Error(`${failed} requests failed or were refused`);
  times.sort((a, b) => a - b);
  const requests = times.length + connected.size;
  return {
    perSecond: requests / elapsed,
    requests,
    p99: times[Math.floor(times.length * 0.99)],
  };
});

/**
 * Polls for answers until the run ends. A process that sleeps between them must be woken, which the server pays for when it
 * writes: for each answer of a server that is a little slower than this process, and for none of one that keeps it busy.
 */
async function awake(run) {
  let poll = setImmediate(function again() {
    poll = setImmediate(again);
  });
  try {
    return await run;
  } finally {
    clearImmediate(poll);
  }
}
