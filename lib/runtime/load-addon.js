'use strict';

const { createRequire } = require('node:module');
const path = require('node:path');
const { version } = require('../../package.json');
const { isMissing, machineOf, platformOfProcess } = require('./platform');

const ROOT = path.join(__dirname, '..', '..');

/** Finds the file that was loaded. */
let findFile;

/**
 * The exports of the native addon: of the file that `NAPI_RS_NATIVE_LIBRARY_PATH` names, else of one that was built
 * here, else of the platform's package. Where none loads, the error says in its first sentence what is wrong.
 *
 * `published`: the platforms that have a package; `loadPackage(platform, wanted)` loads one, if it has that version.
 */
function loadAddon(published, loadPackage) {
  const named = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  const platform = platformOfProcess();
  const file = named ? path.resolve(named) : path.join(ROOT, `sluice.${platform}.node`);
  findFile = () => file;
  try {
    if (platform.endsWith('-musl')) checkMachine(file);
    return require(file);
  } catch (error) {
    if (named || !isMissing(error, file)) throw errors().explain(error, { platform, published, file });
  }
  findFile = () => fileOfPackage(platform);
  const { found, binding, error } = loadPackage(platform, version);
  if (binding !== undefined) return binding;
  if (found === undefined) throw errors().explain(error, { platform, published });
  if (error === undefined) throw errors().otherVersion(platform, found);
  throw errors().explain(error, { platform, published, file: findFile() });
}

/** musl's loader does not look for which machine a library was built, and would run its code. Throws as other loaders do. */
function checkMachine(file) {
  const machine = machineOf(file);
  if (machine === undefined || machine === process.arch) return;
  throw Object.assign(new Error(`${file}: built for ${machine}`), { code: 'ERR_DLOPEN_FAILED' });
}

/** Loaded only where something is wrong: each thread runs this file. */
function errors() {
  return require('./load-error');
}

/** Not `require.resolve`: a bundler would warn of a name that it cannot know. */
function fileOfPackage(platform) {
  const manifest = createRequire(__filename).resolve(`sluice-${platform}/package.json`);
  return path.join(path.dirname(manifest), `sluice.${platform}.node`);
}

/** The file that `loadAddon` loaded. */
function fileOfAddon() {
  return findFile();
}

module.exports = { fileOfAddon, loadAddon };
