// A process that makes calls of one limiter: never observed, observed, or observed and measured.
import { createRequire } from 'node:module';
import { answerWith } from '../child.mjs';
import { addresses, inOrder } from '../js/keys.mjs';
import { loopOver, processorMs } from '../js/rounds.mjs';

const require = createRequire(import.meta.url);
const { RateLimiter } = require('../../index.js');
const YEAR_MS = 31_536_000_000;

/** The same in each process, whatever else ran when it began. */
const WARM_UP = 300_000;
const CALLS = 100_000;

/** What begins the observation, as a dashboard and a collector do; nothing ends it. */
const START = {
  off: () => {},
  on: () => require('../../lib/observation').startObservation(),
  histograms: () => {
    require('../../lib/observation').startObservation();
    require('../../lib/metrics/measure-latencies').measureLatencies();
  },
};

const batches = {};

function prepare({ kind, loads }) {
  START[kind]();
  const limiter = new RateLimiter('observed', { limit: 1e9, window: 10 * YEAR_MS });
  for (const load of loads) {
    const keys = inOrder(addresses(), load);
    const call = (key) => limiter.tryConsume(key);
    batches[load] = loopOver(`${kind}, ${load}`, keys, call, false);
    batches[load](WARM_UP);
  }
}

/** Nanoseconds of processor time per call. */
function time(load) {
  const startedAt = processorMs();
  const allowed = batches[load](CALLS);
  const ns = ((processorMs() - startedAt) * 1e6) / CALLS;
  if (allowed !== CALLS) throw new Error(`${allowed} of ${CALLS} calls passed`);
  return ns;
}

answerWith(({ kind, loads, load }) => (kind === undefined ? time(load) : prepare({ kind, loads })));
