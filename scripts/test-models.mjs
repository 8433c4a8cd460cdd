// The engine's models: loom runs them under every order in which threads may interleave.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './addon.mjs';
import { findRust } from './requirements.mjs';

findRust();
const { status } = spawnSync(
  'cargo',
  'test --quiet --package sluice-core --lib --release models'.split(' '),
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      // Swaps our atomics for loom's; other flags, other folder, or each build would undo the last one's.
      RUSTFLAGS: '--cfg sluice_loom',
      CARGO_TARGET_DIR: path.join(root, 'target', 'loom'),
      LOOM_MAX_PREEMPTIONS: '3',
    },
  },
);
process.exitCode = status ?? 1;
