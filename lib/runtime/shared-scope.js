'use strict';

const { resolve } = require('node:path');
const { invalidOption, SluiceError } = require('./errors');
const { native } = require('./native');
const { onMismatch } = require('./on-mismatch');
const { checkOptions, owned } = require('./schema');

const ACCEPTED = 'true, or the path of a directory in memory (tmpfs), such as "/dev/shm/sluice"';

const SHARED = { shared: directoryOption, onMismatch };

/** Whether an option `scope` is one of all processes of a machine. It is not checked yet. */
function isSharedScope(value) {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'shared');
}

/**
 * A scope of all processes of a machine, `{ shared, onMismatch? }`, as native code takes it, with its `description`, in
 * which all threads of the process agree.
 */
function sharedScope(value, option) {
  const checked = owned({ onMismatch: 'error' }, checkOptions(option, value, SHARED));
  const directory = checked.shared;
  if (directory === undefined) throw invalidOption(`${option} shared`, undefined, ACCEPTED);
  const reconfigures = checked.onMismatch === 'reconfigure';
  return { machine: { directory, reconfigures }, description: `shared ${JSON.stringify(directory)}` };
}

function directoryOption(value, option) {
  const isPath = typeof value === 'string' && value !== '' && !value.includes('\0');
  if (value !== true && !isPath) throw invalidOption(option, value, ACCEPTED);
  const byDefault = native.sharedDirectory() ?? undefined;
  if (byDefault === undefined) throw notHere(option);
  return value === true ? byDefault : resolve(value);
}

function notHere(option) {
  const message = `${option}: processes share state on Linux only, and this is ${process.platform}`;
  return new SluiceError('UNSUPPORTED', `${message}; accepted: scope "process" or { redis }`);
}

/** The stats of an instance, with those of the file that processes share. `machine` is native; undefined without a file. */
function withMachine({ machine, ...stats }) {
  if (machine === undefined || machine === null) return stats;
  const { file, attached, deaths, trouble } = machine;
  return {
    ...stats,
    processes: attached.length,
    deaths,
    machine: { file, attached, trouble: trouble ?? null },
  };
}

module.exports = { isSharedScope, sharedScope, withMachine };
