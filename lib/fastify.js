'use strict';

const { pluginOf } = require('./guard/fastify-plugin');
const { Guard } = require('./guard/guard');

/** Creates the guard of this name or attaches to it, as plugin for Fastify 5. */
module.exports = pluginOf((options) => new Guard('sluice/fastify', options));
