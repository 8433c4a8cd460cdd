// Empty projects that install from the registry, in an environment without Rust.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { npmOutput } from '../../scripts/release/npm-output.mjs';

const TIMEOUT_MS = 180_000;
const TOOLS = fileURLToPath(new URL('tools/node_modules', import.meta.url));
const npmCli =
  process.env.npm_execpath ?? path.join(npmOutput(['root', '--global'], '.').trim(), 'npm/bin/npm-cli.js');

const MANAGERS = {
  npm: npmCli,
  pnpm: path.join(TOOLS, 'pnpm/bin/pnpm.cjs'),
  yarn: path.join(TOOLS, 'yarn/bin/yarn.js'),
  berry: path.join(TOOLS, '@yarnpkg/cli-dist/bin/yarn.js'),
};

/** Programs of a minimal image. */
const PROGRAMS = { node: process.execPath, sh: '/bin/sh' };

/** Yarn 4 accepts no version younger than a day by default, and those of the test were published a moment ago. */
function yarnSettings(registry) {
  return `npmRegistryServer: "${registry}"
unsafeHttpWhitelist: ["127.0.0.1"]
npmMinimalAgeGate: 0
enableTelemetry: false
enableGlobalCache: false
enableImmutableInstalls: false
nodeLinker: pnp
`;
}

export class Project {
  /** An empty project in `scratch`, which every package manager installs from `registry` into. */
  constructor(scratch, name, registry) {
    this.folder = path.join(scratch, name);
    this.bin = path.join(scratch, `${name}-bin`);
    this.home = path.join(scratch, `${name}-home`);
    for (const folder of [this.folder, this.bin, this.home]) mkdirSync(folder);
    for (const [name, file] of Object.entries(PROGRAMS)) symlinkSync(file, path.join(this.bin, name));
    this.write('package.json', '{ "name": "project", "private": true }\n');
    this.write('.npmrc', `registry=${registry}\naudit=false\nfund=false\nupdate-notifier=false\n`);
    this.write('.yarnrc.yml', yarnSettings(registry));
  }

  write(name, text) {
    writeFileSync(path.join(this.folder, name), text);
  }

  /** Runs a package manager; returns status and output. */
  manage(manager, ...args) {
    return this.run(MANAGERS[manager], ...args);
  }

  /** Runs Node.js here, where nothing but Node.js and a shell is found. */
  run(...args) {
    const { status, stdout, stderr, error } = spawnSync(process.execPath, args, {
      cwd: this.folder,
      env: {
        PATH: this.bin,
        HOME: this.home,
        TMPDIR: this.home,
        npm_config_cache: path.join(this.home, 'cache'),
      },
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    return { status, output: `${stdout}${stderr}${error ? error.message : ''}`, stdout };
  }

  /** The packages of sluice in node_modules. */
  installed() {
    const names = readdirSync(path.join(this.folder, 'node_modules'));
    return names.filter((name) => name.startsWith('sluice')).sort();
  }
}
