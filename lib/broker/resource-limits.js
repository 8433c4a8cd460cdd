'use strict';

const { SluiceError, describe } = require('../runtime/errors');

const { bun, deno } = process.versions;

/** What a runtime other than Node says it takes, and does not bound. */
const ALL = ['maxOldGenerationSizeMb', 'maxYoungGenerationSizeMb', 'codeRangeSizeMb', 'stackSizeMb'];

/** Bun ignores all of them. Deno aborts the process where a thread exceeds a small stack, and ignores a large one. */
function unboundedHere() {
  if (bun !== undefined) return { runtime: `Bun ${bun}`, names: ALL };
  return { runtime: `Deno ${deno}`, names: deno === undefined ? [] : ['stackSizeMb'] };
}

const { runtime, names } = unboundedHere();

/** Refuses what the runtime would not keep: a bound that is trusted and missing is worse than none. */
function checkResourceLimits(limits) {
  const name = names.find((name) => limits?.[name] !== undefined);
  if (name === undefined) return;
  const message = `spawn resourceLimits ${name}: ${runtime} does not bound it, given ${describe(limits[name])}`;
  throw new SluiceError('UNSUPPORTED', `${message}; accepted: spawn without it`);
}

module.exports = { checkResourceLimits };
