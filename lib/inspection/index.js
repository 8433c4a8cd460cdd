'use strict';

const { boolean, checkOptions, func, owned } = require('../runtime/schema');
const { title } = require('../dashboard/options');
const { Inspection } = require('./inspection');

const OPTIONS = { actions: boolean, showKey: func, title };
const DEFAULTS = { actions: false, showKey: undefined, title: undefined };

/** Lets `npx sluice` see this process, by a socket that only its user can reach. */
function inspect(options = {}) {
  return new Inspection(owned(DEFAULTS, checkOptions('inspect', options, OPTIONS)));
}

module.exports = { inspect };
