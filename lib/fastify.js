'use strict';

const { pluginOf } = require('./guard/fastify-plugin');
const { Guard } = require('./guard/guard');

/** A guard of its own, or one more use of the guard of this name, as plugin for Fastify 5. */
module.exports = pluginOf((options) => new Guard('sluice/fastify', options));
