// The runtimes under test. Each is an npm package, installed once into a folder that git ignores.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from '../addon.mjs';
import { fail } from '../requirements.mjs';

const CACHE = path.join(root, '.runtimes');
const PLATFORM = `${process.platform}-${process.arch}`;

/** Ends a test that hangs. For Node a file is a test too. */
const TEST_TIMEOUT_MS = { node: 580_000, bun: 90_000 };

function nodeRuntime(version) {
  const name = `node-${PLATFORM}`;
  return {
    title: `Node ${version}`,
    folder: `node-${version}`,
    packages: [`${name}@${version}`],
    executable: /node(\.exe)?$/,
    argsFor: (file, report) => [
      '--test',
      `--test-timeout=${TEST_TIMEOUT_MS.node}`,
      '--test-reporter=junit',
      `--test-reporter-destination=${report}`,
      file,
    ],
  };
}

export const RUNTIMES = {
  node20: nodeRuntime('20'),
  node22: nodeRuntime('22'),
  node24: nodeRuntime('24'),
  node26: nodeRuntime('26'),
  bun: {
    title: 'Bun 1.4',
    folder: 'bun-1.4.5',
    packages: ['bun@1.4.5'],
    executable: /@oven\/bun-[^/]+\/bin\/bun(\.exe)?$/,
    argsFor: (file, report) => [
      'test',
      `--timeout=${TEST_TIMEOUT_MS.bun}`,
      '--reporter=junit',
      `--reporter-outfile=${report}`,
      `./${file}`,
    ],
  },
  deno: {
    title: 'Deno 2.9',
    folder: 'deno-2.9.6',
    packages: ['deno@2.9.6'],
    executable: /@deno\/[^/]+\/deno(\.exe)?$/,
    argsFor: (file, report) => ['test', '--no-check', '--allow-all', `--junit-path=${report}`, file],
  },
};

/** The path of the runtime's executable, which is installed first if it is missing. */
export function executableOf({ title, folder, packages, executable }) {
  const place = path.join(CACHE, folder);
  const found = findExecutable(place, executable) ?? findInstalled(place, packages, executable);
  return found ?? fail(`${title} has no executable for ${PLATFORM} in ${packages.join(', ')}.`);
}

function findInstalled(place, packages, executable) {
  mkdirSync(place, { recursive: true });
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status } = spawnSync('npm', ['install', '--prefix', place, ...flags, ...packages], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  return status === 0 ? findExecutable(place, executable) : undefined;
}

function findExecutable(place, executable) {
  if (!existsSync(place)) return undefined;
  const entries = readdirSync(place, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .find((file) => executable.test(file.replaceAll(path.sep, '/')));
}
