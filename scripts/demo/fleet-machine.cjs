// A machine of the fleet that `fleet.mjs` shows: a process that calls a limiter and reports.
'use strict';

const { RateLimiter } = require('../../index.js');

const IN_FLIGHT = 20;

async function main({ url, mode, calls, limit }) {
  const scope = { redis: url, mode, onError: 'deny', timeout: '10s' };
  const limiter = new RateLimiter(`demo-${mode}`, { limit, window: '30d', scope });
  await limiter.ready();
  let admitted = 0;
  const startedAt = performance.now();
  const callSome = async () => {
    for (let n = 0; n < calls / IN_FLIGHT; n++) {
      if ((await limiter.consumeAsync('client')).allowed) admitted += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, callSome));
  const us = ((performance.now() - startedAt) * 1000) / calls;
  const { commands } = limiter.stats().fleet;
  process.send({ pid: process.pid, admitted, commands, us: us.toFixed(1) }, () => process.exit());
}

main(JSON.parse(process.env.FLEET_TASK));
