'use strict';

const { fileOfAddon } = require('./load-addon');

/**
 * The exports of the native addon, for one copy of the package. A runner that resets modules (jest, vitest's vm pools)
 * keeps addons, and would hand them to the next copy while the last one still uses them: that loads the addon once more.
 */
function loadBinding() {
  /** @type {any} */
  const binding = require('../../binding.cjs');
  if (binding.usedByNativeCode === undefined) return binding;
  const module = { exports: {} };
  try {
    process.dlopen(module, fileOfAddon());
  } catch {
    return binding;
  }
  return module.exports;
}

module.exports = { loadBinding };
