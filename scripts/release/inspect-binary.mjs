// What the headers of an addon's binary say, read without tools of the system.
import { readFileSync } from 'node:fs';

const ELF = 0x7f454c46;
const MACH_O_64 = 0xcffaedfe;
const PE = 0x4d5a;

const ELF_MACHINES = { 62: 'x64', 183: 'arm64' };
const MACH_O_MACHINES = { 16777223: 'x64', 16777228: 'arm64' };
const PE_MACHINES = { 34404: 'x64', 43620: 'arm64' };

/**
 * Operating system and processor that a file is built for, and the newest version of the GNU C library among the
 * symbols that it requires, undefined where there are none.
 */
export function inspectBinary(file) {
  const bytes = readFileSync(file);
  return { ...machineOf(bytes), glibc: newestGlibc(bytes) };
}

function machineOf(bytes) {
  const magic = bytes.readUInt32BE(0);
  if (magic === ELF) return { os: 'linux', cpu: ELF_MACHINES[bytes.readUInt16LE(18)] };
  if (magic === MACH_O_64) return { os: 'darwin', cpu: MACH_O_MACHINES[bytes.readUInt32LE(4)] };
  if (bytes.readUInt16BE(0) !== PE) return { os: undefined, cpu: undefined };
  return { os: 'win32', cpu: PE_MACHINES[bytes.readUInt16LE(bytes.readUInt32LE(0x3c) + 4)] };
}

/** The names of required versions are text in the file's table of dynamic strings. */
function newestGlibc(bytes) {
  const found = [...bytes.toString('latin1').matchAll(/GLIBC_(\d+(?:\.\d+)+)/g)].map(
    ([, version]) => version,
  );
  return found.sort(compareVersions).at(-1);
}

export function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
