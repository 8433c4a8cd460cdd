'use strict';

// A routing table is replaced as a whole, again and again, while four worker threads route requests with it. Each release
// has a different number of routes, and each route carries its release number, so a partial change would be visible.

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
  // replaceAll has returned, so from here on every thread sees this release.
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

  const wrong = { partial: 0, stale: 0, lost: 0 };
  await repeat(REQUESTS, 16, async () => {
    const least = released;
    const { status, text } = await ask(port, '/orders');
    const { upstream, size, releases } = JSON.parse(text);
    const [release] = releases;
    if (releases.length !== 1 || size !== sizeOf(release)) wrong.partial += 1;
    if (release < least) wrong.stale += 1;
    if (status !== 200 || upstream !== `http://${release}.internal/orders`) wrong.lost += 1;
  });
  isServing = false;
  await swapping;

  console.log(`${REQUESTS} requests to four threads, ${released} releases of 2 to 51 routes meanwhile`);
  check('requests that saw part of a release', wrong.partial, 0);
  check('requests that saw an outdated release', wrong.stale, 0);
  check('requests that did not find their route', wrong.lost, 0);
  check('version of the registry, one per release', routes.version, released);
  check('more than 100 releases under load', released > 100, true);

  await Promise.all(workers.map((worker) => worker.terminate()));
}

main();
