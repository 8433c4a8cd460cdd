'use strict';

const { closeSync, existsSync, openSync, readdirSync, readSync } = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');

/** Machines by their number in an ELF header, as `process.arch` names them. */
const ELF_MACHINES = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64', 258: 'loong64' };

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
    ([, version]) =>
      `needs ${version}, which is newer than the C library of this system; accepted: one built here`,
  ],
  [
    /NODE_MODULE_VERSION|did not self-register|undefined symbol: (?:napi|node_api)_/,
    `was built for another Node than ${process.version}; accepted: one built for Node 20 or newer`,
  ],
  [
    /invalid ELF header|file too short|ELF|mach-o|incompatible architecture|not a valid Win32 application|code signature/i,
    'is damaged, or no library for this system; accepted: one built here',
  ],
  [
    /^(?:Error loading shared library )?(\S+\.so[.\d]*): (?:cannot open shared object file|No such file)/,
    ([, library]) => `needs the library ${library}, which this system lacks; accepted: to install it`,
  ],
];

/** The exports of the native addon. Where it does not load, the error says in its first sentence what is wrong. */
function loadBinding() {
  try {
    return copyOf(require('../../binding.cjs'));
  } catch (error) {
    throw explain(error);
  }
}

/**
 * The addon's exports belong to one copy of the package. A runner that resets modules (jest, vitest's vm pools) keeps
 * addons, and would hand them to the next copy while the last one still uses them: that loads the addon once more.
 */
function copyOf(binding) {
  if (binding.usedByNativeCode === undefined) return binding;
  const module = { exports: {} };
  try {
    process.dlopen(module, fileOf());
  } catch {
    return binding;
  }
  return module.exports;
}

function fileOf() {
  return process.env.NAPI_RS_NATIVE_LIBRARY_PATH || path.join(ROOT, `sluice.${platformSuffix()}.node`);
}

/** The generated loader reports causes as text only, some of packages that do not exist. So the file is tried here. */
function explain(ofLoader) {
  const file = fileOf();
  const cause = errorOf(file) ?? ofLoader;
  /** @type {Error & { code?: unknown }} */
  const error = new Error(`sluice ${sentence(file, cause)}`, isMissing(cause, file) ? undefined : { cause });
  if (cause.code !== undefined) error.code = cause.code;
  return error;
}

function errorOf(file) {
  try {
    require(file);
  } catch (error) {
    return error;
  }
}

function sentence(file, cause) {
  const binary = JSON.stringify(file);
  if (cause.code === 'ERR_DLOPEN_DISABLED') return `was denied to load its native addon: ${whyDisabled()}`;
  if (cause.code === 'ERR_ACCESS_DENIED') return deniedSentence(cause, binary);
  if (isMissing(cause, file)) return missingSentence();
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
  const accepted = `--allow-fs-read=${JSON.stringify(path.join(ROOT, '*'))} and --allow-addons beside it`;
  return `was denied ${what} ${resource ? JSON.stringify(resource) : binary}: Node runs with --permission; accepted: ${accepted}`;
}

function isMissing({ code }, file) {
  if (code === 'MODULE_NOT_FOUND') return true;
  try {
    return code !== 'ERR_ACCESS_DENIED' && code !== 'ERR_DLOPEN_DISABLED' && !existsSync(file);
  } catch {
    return false;
  }
}

function missingSentence() {
  const others = readdirSync(ROOT).flatMap((name) => /^sluice\.(.+)\.node$/.exec(name)?.[1] ?? []);
  const only = others.length === 0 ? '' : `, only for ${others.join(', ')}`;
  return `has no binary for ${process.platform}-${process.arch} here${only}; ${howToBuild()}`;
}

function howToBuild() {
  return `with Rust installed (https://rustup.rs), this makes one: node "${path.join(ROOT, 'scripts', 'build.mjs')}"`;
}

/** The machine that a file is built for; undefined where the file does not say. */
function machineOf(file) {
  const header = Buffer.alloc(20);
  try {
    const fd = openSync(file, 'r');
    try {
      if (readSync(fd, header) < header.length || header.readUInt32BE(0) !== 0x7f454c46) return undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
  return ELF_MACHINES[header.readUInt16LE(18)];
}

/** The suffix by which the generated loader distinguishes platforms. */
function platformSuffix() {
  const abi = { linux: isMusl() ? '-musl' : '-gnu', win32: '-msvc' }[process.platform] ?? '';
  return `${process.platform}-${process.arch}${abi}`;
}

function isMusl() {
  if (process.platform !== 'linux') return false;
  /** @type {any} The types of Node.js lack `excludeNetwork`. */
  const { report } = process;
  report.excludeNetwork = true;
  return report.getReport().header.glibcVersionRuntime === undefined;
}

module.exports = { loadBinding };
