/*
 * The engine's models: small cases under every order in which threads may interleave (loom), larger ones under
 * random orders, the same each time (shuttle).
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { root } from './addon.mjs';
import { findRust } from './requirements.mjs';

const CHECKERS = [
  { checker: 'loom', tests: 'models', env: { LOOM_MAX_PREEMPTIONS: '3' } },
  { checker: 'shuttle', tests: 'schedules', env: {} },
];

findRust();
for (const { checker, tests, env } of CHECKERS) {
  const { status } = spawnSync(
    'cargo',
    `test --quiet --package sluice-core --lib --release ${tests}`.split(' '),
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        ...env,
        // Swaps our atomics for the checker's; other flags, other folder, or each build would undo the last one's.
        RUSTFLAGS: `--cfg sluice_${checker}`,
        CARGO_TARGET_DIR: path.join(root, 'target', checker),
        // Built more often than run.
        CARGO_PROFILE_RELEASE_LTO: 'off',
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS: '16',
      },
    },
  );
  process.exitCode ||= status ?? 1;
}
