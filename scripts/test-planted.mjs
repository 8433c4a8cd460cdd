/*
 * Bugs planted one by one into a copy of the engine: for each, the model that is there for it must fail.
 * A model that passes, or a text that is no longer found, is an error.
 *
 *   npm run test:planted              all
 *   npm run test:planted -- watermark those whose description has the word
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './addon.mjs';
import { MUTATIONS } from './planted.mjs';
import { fail, findRust } from './requirements.mjs';

const SOURCES = 'crates/core/src';
/** A net for a model that hangs. On a busy machine a model takes several times as long as on an idle one. */
const SECONDS = 300;
const TEST = 'test --quiet --package sluice-core --lib --release'.split(' ');

const copy = path.join(root, 'target', 'planted');
const wanted = process.argv.slice(2);

function cargo(args, options) {
  return spawnSync('cargo', args, {
    cwd: path.join(copy, 'crates', 'core'),
    encoding: 'utf8',
    env: {
      ...process.env,
      RUSTFLAGS: '--cfg sluice_loom --allow warnings',
      CARGO_TARGET_DIR: path.join(root, 'target', 'loom-planted'),
      LOOM_MAX_PREEMPTIONS: '3',
      // Each bug is one more build, and the models are short.
      CARGO_INCREMENTAL: '1',
      CARGO_PROFILE_RELEASE_LTO: 'off',
      CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
      CARGO_PROFILE_RELEASE_OPT_LEVEL: '1',
    },
    ...options,
  });
}

/** The engine alone, as a workspace of its own: the addon is not needed for its models. */
function copyEngine() {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(path.join(copy, 'src'), { recursive: true });
  for (const file of ['Cargo.toml', 'Cargo.lock', 'build.rs', 'crates']) {
    cpSync(path.join(root, file), path.join(copy, file), { recursive: true });
  }
  writeFileSync(path.join(copy, 'src', 'lib.rs'), '');
}

function plant({ file, text, replacement }) {
  const target = path.join(copy, SOURCES, file);
  const original = readFileSync(path.join(root, SOURCES, file), 'utf8');
  const parts = original.split(text);
  if (parts.length !== 2) {
    return { error: `${file} has this text ${parts.length - 1} times, not once:\n${text}` };
  }
  writeFileSync(target, parts.join(replacement));
  return { undo: () => writeFileSync(target, original) };
}

function build() {
  const { status, stderr } = cargo([...TEST, '--no-run']);
  return status === 0 ? undefined : `it does not compile:\n${stderr}`;
}

/** 'passes', 'fails', or what is wrong with the model itself. */
function run(model) {
  const { status, stdout, error } = cargo([...TEST, '--', model], { timeout: SECONDS * 1_000 });
  if (error) return `does not end within ${SECONDS} s`;
  if (!/^running [1-9]/m.test(stdout)) return 'does not exist';
  return status === 0 ? 'passes' : 'fails';
}

/** Undefined when the model fails, as it should; otherwise what is wrong. */
function check(mutation) {
  const { error, undo } = plant(mutation);
  if (error) return error;
  const wrong = build() ?? run(mutation.model);
  undo();
  return wrong === 'fails' ? undefined : `${mutation.model} ${wrong}`;
}

findRust();
copyEngine();
const planted = MUTATIONS.filter(({ bug }) => wanted.every((word) => bug.includes(word)));
if (planted.length === 0) fail(`no planted bug is described by ${wanted.join(' ')}.`);
const broken = build();
if (broken) fail(broken);
for (const model of new Set(planted.map(({ model }) => model))) {
  const outcome = run(model);
  if (outcome !== 'passes') fail(`${model} ${outcome} where nothing is planted.`);
}
let missed = 0;
for (const mutation of planted) {
  const startedAt = performance.now();
  const wrong = check(mutation);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6);
  console.log(`${wrong ? 'MISSED' : 'found '} ${seconds} s  ${mutation.bug}`);
  if (wrong) console.error(`  ${wrong.replaceAll('\n', '\n  ')}`);
  missed += wrong ? 1 : 0;
}
console.log(missed === 0 ? `All ${planted.length} planted bugs were found.` : `${missed} were missed.`);
process.exitCode = missed === 0 ? 0 : 1;
