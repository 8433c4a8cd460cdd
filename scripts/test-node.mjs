/*
 * The tests that run in Node.js. Files are listed one by one, as versions of `node --test` differ in how they treat globs
 * and folders.
 *
 *   npm run test:node                                            all files
 *   npm run test:node -- registry --test-name-pattern=update     files whose path contains "registry", with a flag of Node.js
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { root } from './addon.mjs';
import { fail } from './requirements.mjs';

/** Ends a file that hangs. On a busy machine a file can take ten times as long as on an idle one. */
const TIMEOUT_MS = 600_000;

/** Most files wait more than they compute, and the default of Node.js leaves a core idle. */
const FILES_AT_ONCE = 2;

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const files = readdirSync(path.join(root, '__test__'), { recursive: true })
  .filter((name) => name.endsWith('.test.mjs') && !name.includes('node_modules'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .map((name) => path.join('__test__', name));

if (files.length === 0) fail(`no test file is named ${wanted.join(', ') || '*.test.mjs'}.`);
console.log(`Node.js ${process.versions.node}, ${files.length} files`);
const concurrency = `--test-concurrency=${FILES_AT_ONCE}`;
const args = [
  '--test',
  '--test-reporter=spec',
  `--test-timeout=${TIMEOUT_MS}`,
  concurrency,
  ...flags,
  ...files,
];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
process.exitCode = status ?? 1;
