'use strict';

// A table of routes is replaced as a whole, again and again, while four worker threads route requests by it. Each
// release has another number of routes, and all of its routes carry its number: half of a change would show.

const { Registry } = require('sluice');
const { ask, check, repeat, startWorkers } = require('../stage');

const REQUESTS = 2000;

const routes = new Registry('routes');
let released = 0;

const sizeOf = (release) => 2 + (release % 50);

function releaseNext() {
  const release = released + 1;
  const names = ['/orders', ...Array.from({ length: sizeOf(release) - 1 }, (_, index) => `/page-${index}`)];
  routes.replaceAll(names.map((name) => [name, { upstream: `http://${release}.internal${name}`, release }]));
  // From here on every thread finds it: the call has returned.
  released = release;
}

async function main() {
  releaseNext();
  const { workers, port } = await startWorkers(require.resolve('./server'), 4);

  let isServing = true;
  const swapping = (async () => {
    while (isServing) {
      releaseNext();
      await new Promise(setImmediate);
    }
  })();

  const wrong = { halves: 0, stale: 0, lost: 0 };
  await repeat(REQUESTS, 16, async () => {
    const least = released;
    const { status, text } = await ask(port, '/orders');
    const { upstream, size, releases } = JSON.parse(text);
    const [release] = releases;
    if (releases.length !== 1 || size !== sizeOf(release)) wrong.halves += 1;
    if (release < least) wrong.stale += 1;
    if (status !== 200 || upstream !== `http://${release}.internal/orders`) wrong.lost += 1;
  });
  isServing = false;
  await swapping;

  console.log(`${REQUESTS} requests to four threads, ${released} releases of 2 to 51 routes meanwhile`);
  check('requests that saw half of a release', wrong.halves, 0);
  check('requests that saw one older than the last before them', wrong.stale, 0);
  check('requests that did not find their route', wrong.lost, 0);
  check('the version, one for each release', routes.version, released);
  check('the release was replaced under load', released > 100, true);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
