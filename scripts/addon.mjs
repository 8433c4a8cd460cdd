// The name and path of the addon's binary on this platform, and the sources that it is built from.
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

const SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'crates'];

/** The platform suffix that the generated loader uses: `linux-x64-gnu`, `darwin-arm64`. */
export function platformSuffix() {
  const abi = { linux: isMusl() ? '-musl' : '-gnu', win32: '-msvc' }[process.platform] ?? '';
  return `${process.platform}-${process.arch}${abi}`;
}

export function isMusl() {
  if (process.platform !== 'linux') return false;
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime === undefined;
}

export const binaryPath = path.join(root, `sluice.${platformSuffix()}.node`);

/** Why a file must be built, or `undefined` if it exists and is newer than all sources of the addon. */
export function whyStale(file = binaryPath) {
  const builtAt = modifiedAt(file);
  if (builtAt === undefined) return 'it does not exist yet';
  return newestOf(SOURCES) > builtAt ? 'its sources are newer' : undefined;
}

export function modifiedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

function newestOf(names) {
  return Math.max(...names.flatMap(filesUnder).map(modifiedAt));
}

function filesUnder(name) {
  const file = path.join(root, name);
  if (!statSync(file).isDirectory()) return [file];
  const entries = readdirSync(file, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
}
