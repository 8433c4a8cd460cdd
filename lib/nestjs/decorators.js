'use strict';

const { SetMetadata } = require('@nestjs/common');
const { routeOptions } = require('../guard/guard-options');

const OWNER = 'sluice/nestjs';

/** Metadata of a route or a controller: its options, or `SKIPPED`. A route's takes the place of its controller's. */
const kRoute = Symbol('sluice.route');
const SKIPPED = Object.freeze({ rateLimit: false });

/** Options of a route, or of each route of a controller, in the place of the module's. */
function Sluice(options = {}) {
  routeOptions(OWNER, options);
  return SetMetadata(kRoute, options);
}

/** Exempts a route, or the routes of a controller, from the limit. */
function SkipSluice() {
  return SetMetadata(kRoute, SKIPPED);
}

module.exports = { OWNER, SKIPPED, SkipSluice, Sluice, kRoute };
