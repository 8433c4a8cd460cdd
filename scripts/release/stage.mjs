/*
 * Puts the packages of a release together in npm/: one for each platform, with its binary from artifacts/; sluice; and
 * sluice-build, which holds the sources.
 *
 *   npm run release:stage
 *     --partial          leaves out platforms without a binary, for a dry run
 */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { NapiCli } from '@napi-rs/cli';
import { root } from '../addon.mjs';
import { manifest, platforms } from '../platforms.mjs';
import { fail } from '../requirements.mjs';
import { npmOutput } from './npm-output.mjs';
import { artifacts, packages } from './paths.mjs';

/** Fields of package.json that every package has. */
const SHARED = ['version', 'license', 'author', 'engines', 'repository', 'bugs', 'homepage'];

/** Fields of package.json that only this repository uses. */
const OF_REPOSITORY = ['napi', 'scripts', 'devDependencies', 'overrides', 'private'];

/** What cargo needs, and the command that calls it. */
const SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'crates'];
const BUILD_SCRIPTS = ['addon.mjs', 'build-from-source.mjs', 'requirements.mjs'];

const LICENSES = ['LICENSE-APACHE', 'LICENSE-MIT'];

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: { partial: { type: 'boolean', default: false } } });
  const without = platforms.filter(({ binary }) => !existsSync(path.join(artifacts, binary)));
  if (without.length > 0 && !values.partial) {
    fail(`artifacts/ lacks ${without.map(({ binary }) => binary).join(', ')}; --partial leaves them out.`);
  }
  await stage();
  for (const { name } of without) {
    rmSync(path.join(packages, name), { recursive: true });
    console.log(`left out: ${name}, which has no binary in artifacts/`);
  }
}

/** Writes all packages into `into`, with the binaries that `from` holds. */
export async function stage({ from = artifacts, into = packages } = {}) {
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into, { recursive: true });
  await createPlatformPackages(into);
  for (const platform of platforms) completePlatform(platform, from, path.join(into, platform.name));
  stageMain(path.join(into, manifest.name));
  stageSources(path.join(into, `${manifest.name}-build`));
}

/** The command writes inside the project that it runs in, so that is `into` for the moment. */
async function createPlatformPackages(into) {
  const project = path.join(into, 'package.json');
  cpSync(path.join(root, 'package.json'), project);
  await new NapiCli().createNpmDirs({ cwd: into, npmDir: '.' });
  rmSync(project);
}

function completePlatform({ package: name, binary, target }, from, folder) {
  const file = path.join(folder, 'package.json');
  const created = JSON.parse(readFileSync(file, 'utf8'));
  const description = `The native addon of sluice for ${target}`;
  // Yarn unpacks it then: a library cannot be loaded from an archive.
  const files = [...created.files, 'LICENSE-*'];
  const added = { description, files, type: 'commonjs', preferUnplugged: true };
  writeManifest(folder, { ...created, ...shared(), ...added });
  writeFileSync(
    path.join(folder, 'README.md'),
    `# ${name}\n\n${description}. Installed by \`sluice\`, which loads it.\n`,
  );
  copy(LICENSES, folder);
  if (existsSync(path.join(from, binary))) cpSync(path.join(from, binary), path.join(folder, binary));
}

function stageMain(folder) {
  const [{ files }] = Object.values(JSON.parse(npmOutput(['pack', '--dry-run', '--json'], root)));
  copy(
    files.map((file) => file.path),
    folder,
  );
  const kept = Object.entries(manifest).filter(([name]) => !OF_REPOSITORY.includes(name));
  const optionalDependencies = Object.fromEntries(platforms.map((one) => [one.package, manifest.version]));
  writeManifest(folder, { ...Object.fromEntries(kept), optionalDependencies });
}

function stageSources(folder) {
  copy([...LICENSES, ...BUILD_SCRIPTS.map((name) => `scripts/${name}`)], folder);
  copy(SOURCES, folder, isForCargo);
  const name = `${manifest.name}-build`;
  const description = 'Builds the native addon of sluice from source, where no package has it';
  writeManifest(folder, {
    name,
    description,
    ...shared(),
    type: 'module',
    bin: { [name]: './scripts/build-from-source.mjs' },
    files: [...SOURCES, 'scripts', 'LICENSE-*'],
  });
  writeFileSync(
    path.join(folder, 'README.md'),
    `# ${name}\n\n${description}. Needs Rust (https://rustup.rs); run it in the folder of a project that has installed sluice:\n\n` +
      `\`\`\`sh\nnpx ${name}@${manifest.version}\n\`\`\`\n`,
  );
}

/** Folders, manifests and Rust; of the core's Rust not the tests. */
function isForCargo(file) {
  const inside = path.relative(root, file);
  if (/^crates[/\\][^/\\]+[/\\]tests$/.test(inside)) return false;
  return ['', '.rs', '.toml', '.lock'].includes(path.extname(inside));
}

function shared() {
  return Object.fromEntries(SHARED.map((name) => [name, manifest[name]]));
}

function copy(names, folder, filter = undefined) {
  for (const name of names)
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true, filter });
}

function writeManifest(folder, content) {
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`);
}
