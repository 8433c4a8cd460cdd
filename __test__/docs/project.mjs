// A project that has installed the packed package, and has everything that pages use.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { binaryPath, root } from '../../scripts/addon.mjs';
import { npmOutput } from '../../scripts/release/npm-output.mjs';

const TOOLS = fileURLToPath(new URL('tools/node_modules', import.meta.url));
const TYPES = {
  target: 'es2023',
  module: 'nodenext',
  types: ['node'],
  strict: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  skipLibCheck: true,
};

/** Makes the project in an empty folder. */
export function makeProject(folder) {
  const modules = path.join(folder, 'node_modules');
  mkdirSync(modules);
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  unpackSluice(folder, modules);
  for (const from of [path.join(root, 'node_modules'), TOOLS]) linkAll(from, modules);
}

function unpackSluice(folder, modules) {
  const [{ filename }] = Object.values(
    JSON.parse(npmOutput(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root)),
  );
  const place = path.join(modules, 'sluice');
  mkdirSync(place);
  succeed('tar', ['-xzf', path.join('..', '..', filename), '--strip-components=1'], place);
  copyFileSync(binaryPath, path.join(place, path.basename(binaryPath)));
}

function linkAll(from, modules) {
  for (const name of readdirSync(from)) {
    const place = path.join(modules, name);
    if (!name.startsWith('.') && !existsSync(place)) symlinkSync(path.join(from, name), place, 'junction');
  }
}

/** Checks files of TypeScript, and writes the JavaScript beside them. */
export function compile(folder, files) {
  if (files.length === 0) return;
  const config = path.join(folder, 'tsconfig.json');
  writeFileSync(config, JSON.stringify({ compilerOptions: TYPES, files }));
  succeed(
    process.execPath,
    [path.join(root, 'node_modules/typescript/bin/tsc'), '--project', config],
    folder,
  );
}

function succeed(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args[0]}: ${error?.message ?? ''}${stdout}${stderr}`);
}

/** The file that runs the test files of a runner, with its arguments. */
export function runnerOf(name, file) {
  if (name === 'jest') return [path.join(TOOLS, 'jest/bin/jest.js'), '--runTestsByPath', file];
  if (name === 'vitest') return [path.join(TOOLS, 'vitest/vitest.mjs'), 'run', file];
  return ['--test', file];
}
