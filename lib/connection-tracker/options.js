'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { invalidOption } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const { checkOptions, quota } = require('../runtime/schema');
const { trackerScope } = require('./fleet');

/** Whether a quota can be kept is checked natively. */
const SCHEMA = schemaOf('ConnectionTracker', {
  opens: quota,
  messages: quota,
  bytes: quota,
  scope: trackerScope,
  onMismatch,
});

/** The checked options of a tracker. */
function trackerOptions(options) {
  const checked = checkOptions('ConnectionTracker', options, SCHEMA);
  const { clients, ipv6Prefix } = checked;
  if (clients === 'opaque' && ipv6Prefix !== undefined) {
    throw invalidOption('ConnectionTracker ipv6Prefix', ipv6Prefix, 'nothing, with clients: "opaque"');
  }
  return checked;
}

module.exports = { trackerOptions };
