'use strict';

const { closeSync, existsSync, openSync, readSync } = require('node:fs');

/** More than the headers of an executable and the path of its program interpreter. */
const HEAD_BYTES = 4096;

/** Machines by their number in an ELF header, as `process.arch` names them. */
const ELF_MACHINES = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64', 258: 'loong64' };

/** The platform of this process, as binaries are named after it: `linux-x64-gnu`, `darwin-arm64`. */
function platformOfProcess() {
  const abi = { linux: isMusl() ? '-musl' : '-gnu', win32: '-msvc' }[process.platform] ?? '';
  return `${process.platform}-${process.arch}${abi}`;
}

/** The program interpreter of Node's own executable tells, in microseconds. A report takes 15 ms in each thread. */
function isMusl() {
  if (process.platform !== 'linux') return false;
  const head = headOf(process.execPath)?.toString('latin1') ?? '';
  if (head.includes('/ld-musl-')) return true;
  if (head.includes('/ld-linux')) return false;
  /** @type {any} The types of Node.js lack `excludeNetwork`. */
  const { report } = process;
  report.excludeNetwork = true;
  return report.getReport().header.glibcVersionRuntime === undefined;
}

/** The machine that a file is built for; undefined where the file does not say. */
function machineOf(file) {
  const head = headOf(file);
  if (head === undefined || head.length < 20 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  return ELF_MACHINES[head.readUInt16LE(18)];
}

/** Whether a file did not load because it is not there. */
function isMissing({ code }, file) {
  if (code === 'MODULE_NOT_FOUND') return true;
  try {
    return code !== 'ERR_ACCESS_DENIED' && code !== 'ERR_DLOPEN_DISABLED' && !existsSync(file);
  } catch {
    return false;
  }
}

/** The first bytes of a file; undefined where it cannot be read. */
function headOf(file) {
  try {
    const fd = openSync(file, 'r');
    try {
      const head = Buffer.alloc(HEAD_BYTES);
      return head.subarray(0, readSync(fd, head));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

module.exports = { isMissing, machineOf, platformOfProcess };
