// New clients in a table that always holds `maxKeys` live ones: how many of them evict a live client? Runs under the
// manual clock, so that exactly that many are live.
import { createRequire } from 'node:module';
import { answerWith } from '../child.mjs';

const require = createRequire(import.meta.url);
const { RateLimiter } = require('../..');
const { manualClock } = require('../../lib/testing.js');

/** How long a client is live: the window of a limit of one. */
const WINDOW_MS = 1000;

answerWith(({ maxKeys, rounds }) => {
  const clock = manualClock();
  const limiter = new RateLimiter('churn', { limit: 1, window: WINDOW_MS, maxKeys });
  let next = 0;
  const oneWindow = () => {
    for (let ms = 0; ms < WINDOW_MS; ms++) {
      for (let each = 0; each < maxKeys / WINDOW_MS; each++) limiter.tryConsume(`${next++}`);
      clock.advance(1);
    }
  };
  oneWindow();
  const { liveEvictions: whileFilling } = limiter.stats();
  for (let round = 0; round < rounds; round++) oneWindow();
  const { liveEvictions, untracked } = limiter.stats();
  return {
    maxKeys,
    inserts: maxKeys * rounds,
    whileFilling,
    evicted: liveEvictions - whileFilling,
    untracked,
  };
});
