'use strict';

const { existsSync, readdirSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { version } = require('../../package.json');
const { PREFIX } = require('./errors');
const { isMissing, machineOf } = require('./platform');

const ROOT = path.join(__dirname, '..', '..');

/**
 * What loaders of shared libraries say, and what it means. The first that matches counts.
 *
 * @type {[RegExp, string | ((match: RegExpExecArray) => string)][]}
 */
const DIAGNOSES = [
  [
    /permission denied|operation not permitted/i,
    'was denied by the system; accepted: a file that this user may read',
  ],
  [
    /failed to map segment/,
    'may not be run where it lies; accepted: a file system that is not mounted with noexec, and no policy against it',
  ],
  [
    /version [`'"]?(GLIBC(?:XX)?_[\d.]+)['"]? not found/,
    ([, needed]) =>
      `needs ${needed}, which is newer than the C library of this system; accepted: one built here`,
  ],
  [
    /NODE_MODULE_VERSION|did not self-register|undefined symbol: (?:napi|node_api)_/,
    `was built for another Node than ${process.version}; accepted: one built for Node 20 or newer`,
  ],
  [
    /invalid ELF header|file too short|ELF|Exec format error|mach-o|incompatible architecture|not a valid Win32 application|code signature/i,
    'is damaged, or no library for this system; accepted: one built here',
  ],
  [
    /^(?:Error loading shared library )?(\S+\.so[.\d]*): (?:cannot open shared object file|No such file)/,
    ([, library]) => `needs the library ${library}, which this system lacks; accepted: to install it`,
  ],
];

const COPIED =
  'node_modules was copied from another machine or into an image: install where it runs, in the image itself';
const BUNDLED =
  'a bundler moved the code of sluice: keep sluice external (esbuild --external:sluice), and install it beside the bundle';
const CAUSES = [
  'the install left optional packages out (--omit=optional, --no-optional, --ignore-optional): install without that',
  'the lock file was made on another platform: remove it and node_modules, and install again',
  COPIED,
  'the image is Alpine, which has musl in place of glibc, and the packages are those of the other: install in the image',
  BUNDLED,
];

/**
 * The error for a binary that did not load. `cause` is undefined for a platform that is not among those `published`;
 * `file` is where the binary was expected.
 *
 * @returns {Error & { code?: unknown }}
 */
function explain(cause, { platform, published, file = undefined }) {
  if (cause === undefined || isMissing(cause, file)) return missing(platform, published, file);
  /** @type {Error & { code?: unknown }} */
  const error = new Error(`sluice ${sentence(file, cause)}`, { cause });
  if (cause.code !== undefined) error.code = cause.code;
  return error;
}

/** The error for a package of another version: its binary and this JavaScript would disagree on what they exchange. */
function otherVersion(platform, found) {
  return noBinary(
    `sluice ${version} found sluice-${platform}@${found}; accepted: sluice-${platform}@${version}. ` +
      'Remove node_modules and install again, and drop overrides of either package',
  );
}

function missing(platform, published, file) {
  const named = process.env.NAPI_RS_NATIVE_LIBRARY_PATH;
  if (named && file !== undefined) {
    return noBinary(`sluice found no file ${JSON.stringify(file)}, which NAPI_RS_NATIVE_LIBRARY_PATH names`);
  }
  const others = installedPlatforms(published);
  const only = others.length === 0 ? '' : `, only for ${others.join(', ')}`;
  return noBinary(
    `sluice has no binary for ${platform} here${only}: ${whyMissing(platform, published, others)}`,
  );
}

function whyMissing(platform, published, others) {
  const byHand = `To build it from source, ${howToBuild()}`;
  if (!published.includes(platform)) {
    return `there is no package for it; published: ${published.join(', ')}.\n${byHand}`;
  }
  const likely = isBundled() ? BUNDLED : others.length > 0 ? COPIED : undefined;
  const causes = likely === undefined ? CAUSES : [likely, ...CAUSES.filter((cause) => cause !== likely)];
  const list = causes.map((cause) => `\n  - ${cause}`).join('');
  return `the package sluice-${platform}@${version} is not installed. Usual causes:${list}\n${byHand}`;
}

/** Platforms whose binaries are here: of packages, and of files beside this one. */
function installedPlatforms(published) {
  const { resolve } = createRequire(__filename);
  const packages = published.filter((platform) => {
    try {
      return resolve(`sluice-${platform}/package.json`) !== undefined;
    } catch {
      return false;
    }
  });
  return [...new Set([...packages, ...builtPlatforms()])];
}

function builtPlatforms() {
  try {
    return readdirSync(ROOT).flatMap((name) => /^sluice\.(.+)\.node$/.exec(name)?.[1] ?? []);
  } catch {
    return [];
  }
}

function isBundled() {
  return !existsSync(path.join(__dirname, 'load-error.js'));
}

function noBinary(message) {
  return Object.assign(new Error(message), { code: `${PREFIX}NO_BINARY` });
}

function howToBuild() {
  return `with Rust installed (https://rustup.rs), run: npx sluice-build@${version}`;
}

function sentence(file, cause) {
  const binary = JSON.stringify(file);
  if (cause.code === 'ERR_DLOPEN_DISABLED') return `was denied to load its native addon: ${whyDisabled()}`;
  if (cause.code === 'ERR_ACCESS_DENIED') return deniedSentence(cause, binary);
  const machine = machineOf(file);
  if (machine !== undefined && machine !== process.arch) {
    return `cannot load ${binary}: it is built for ${machine}, and this process is ${process.arch}; ${howToBuild()}`;
  }
  const message = String(cause.message);
  for (const [pattern, what] of DIAGNOSES) {
    const match = pattern.exec(message.replace(`${file}: `, ''));
    if (match === null) continue;
    return `cannot load ${binary}: it ${typeof what === 'string' ? what : what(match)} (${message.split('\n')[0]})`;
  }
  return `cannot load ${binary}: ${message.split('\n')[0]}`;
}

function whyDisabled() {
  if (process.permission === undefined) return 'Node runs with --no-addons; accepted: without it';
  return process.allowedNodeEnvironmentFlags.has('--allow-addons')
    ? 'Node runs with --permission; accepted: --allow-addons beside it'
    : `Node ${process.version} runs with a permission model that allows no addons; accepted: Node 22 or newer with --allow-addons`;
}

function deniedSentence({ permission = 'access', resource }, binary) {
  const what = permission === 'FileSystemRead' ? 'to read' : `${permission} to`;
  const folder = !resource || isInside(ROOT, resource) ? ROOT : path.dirname(resource);
  const accepted = `--allow-fs-read=${JSON.stringify(path.join(folder, '*'))} and --allow-addons beside it`;
  return `was denied ${what} ${resource ? JSON.stringify(resource) : binary}: Node runs with --permission; accepted: ${accepted}`;
}

function isInside(folder, file) {
  return file.startsWith(folder + path.sep);
}

module.exports = { explain, otherVersion };
