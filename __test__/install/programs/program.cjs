// What bundlers bundle: the package and a subpath that share one clock and one limit. Prints what was admitted.
const { RateLimiter } = require('sluice');
const { manualClock } = require('sluice/testing');

const clock = manualClock();
const limiter = new RateLimiter('bundled', { limit: 1, window: '1m' });
const admitted = [limiter.tryConsume('client'), limiter.tryConsume('client')];
clock.advance(60_000);
admitted.push(limiter.tryConsume('client'));
console.log(JSON.stringify({ admitted }));
