'use strict';

const { native } = require('./native');
const { oneOf, owned } = require('./schema');
const { warn } = require('./warn');

/** What becomes of other options than those of the instance that exists. */
const onMismatch = oneOf('error', 'reconfigure');

/** Runs `open(reconfigures)`, which opens an instance by these valid options, and warns of what that has changed. */
function openNamed(owner, name, options, open) {
  const reconfigures = options !== undefined && owned(options).onMismatch === 'reconfigure';
  const opened = open(reconfigures);
  if (reconfigures) warnOfChanges(owner, name, native.takeOptionChanges());
  return opened;
}

function warnOfChanges(owner, name, changes) {
  if (changes.length === 0) return;
  const list = changes.map(({ option, before, after }) => `${option} = ${after} instead of ${before}`);
  warn('SLUICE_RECONFIGURED', `${owner} ${JSON.stringify(name)} was reconfigured: ${list.join(', ')}`);
}

module.exports = { onMismatch, openNamed };
