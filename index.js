'use strict';

/*
 * One state for all worker threads of this process.
 *
 *   const { RateLimiter } = require('sluice');
 *   const limiter = new RateLimiter('api', { limit: 100, window: '1m' }); // the same state in every thread
 *   if (!limiter.tryConsume(clientKey)) refuse();
 */

const { Broker } = require('./lib/broker');
const { CircuitBreaker } = require('./lib/circuit-breaker');
const { ClientHub } = require('./lib/client-hub');
const { clientKey } = require('./lib/client-key');
const { ConnectionTracker } = require('./lib/connection-tracker');
const { createGuard } = require('./lib/guard');
const { dashboard } = require('./lib/dashboard');
const { SluiceError } = require('./lib/runtime/errors');
const { metrics } = require('./lib/metrics');
const { HitCounter } = require('./lib/hit-counter');
const { inspect } = require('./lib/inspection');
const { Lifecycle } = require('./lib/lifecycle');
const { listen } = require('./lib/listen');
const { LoadShedder } = require('./lib/load-shedder');
const { RateLimiter } = require('./lib/rate-limiter');
const { Registry } = require('./lib/registry');
const { Reputation } = require('./lib/reputation');
const { SecurityMonitor } = require('./lib/security-monitor');
const { Semaphore } = require('./lib/semaphore');

module.exports = {
  Broker,
  CircuitBreaker,
  ClientHub,
  ConnectionTracker,
  HitCounter,
  Lifecycle,
  LoadShedder,
  RateLimiter,
  Registry,
  Reputation,
  SecurityMonitor,
  Semaphore,
  SluiceError,
  clientKey,
  createGuard,
  dashboard,
  inspect,
  listen,
  metrics,
};
