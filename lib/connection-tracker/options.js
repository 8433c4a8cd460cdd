'use strict';

const { schemaOf } = require('../runtime/declared-options');
const { invalidOption, SluiceError } = require('../runtime/errors');
const { onMismatch } = require('../runtime/on-mismatch');
const { checkOptions, quota } = require('../runtime/schema');
const { isSharedScope, sharedScope } = require('../runtime/shared-scope');

/** Whether a quota can be kept is checked natively. */
const SCHEMA = schemaOf('ConnectionTracker', {
  opens: quota,
  messages: quota,
  bytes: quota,
  scope: scopeOption,
  onMismatch,
});

/** `'process'`, or a scope of the machine as `sharedScope` returns it. */
function scopeOption(value, option) {
  if (value === 'process') return value;
  if (isSharedScope(value)) return sharedScope(value, option);
  const accepted = '"process" or { shared: true | "directory", onMismatch? }';
  throw new SluiceError('UNSUPPORTED', `${option}: connections are not counted by it; accepted: ${accepted}`);
}

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
