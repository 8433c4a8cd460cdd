/*
 * Checks the packages in npm/ before they are published: what each archive contains, how large it is, that nothing runs
 * on install, and what each binary is built for and requires. Prints the sizes.
 *
 *   npm run release:check
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { manifest, platforms } from '../platforms.mjs';
import { compareVersions, inspectBinary } from './inspect-binary.mjs';
import { npmOutput } from './npm-output.mjs';
import { GLIBC, packages } from './paths.mjs';

/** Installed bytes. A package that outgrows its limit has a file that it should not have, or a reason to raise it. */
const LIMITS = { platform: 4e6, main: 1.4e6, build: 2e6 };

const ON_INSTALL = ['preinstall', 'install', 'postinstall', 'prepare'];
const ALWAYS = ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'package.json'];
const NOT_AT_RUN_TIME =
  /\.(node|rs|toml|lock|tgz|(?<!dashboard\/page\/icon\.)svg|log)$|\.test\.|^(target|scripts|src|crates|benchmark|examples|__test__)\//;

const faults = [];
const expect = (isTrue, what) => isTrue || faults.push(what);

const main = checkPackage(manifest.name, LIMITS.main, (files) => {
  const unwanted = files.filter((file) => NOT_AT_RUN_TIME.test(file));
  expect(unwanted.length === 0, `${manifest.name} contains ${unwanted.join(', ')}`);
});
checkPackage(`${manifest.name}-build`, LIMITS.build, (files) => {
  const unwanted = files.filter((file) => /\.node$|^target\//.test(file));
  expect(unwanted.length === 0, `${manifest.name}-build contains ${unwanted.join(', ')}`);
});
const present = platforms.filter(({ name }) => existsSync(path.join(packages, name)));
expect(present.length > 0, 'npm/ has no package of a platform');
for (const platform of present) {
  checkPackage(platform.name, LIMITS.platform, (files) => {
    const wanted = [...ALWAYS, platform.binary].sort().join(', ');
    const given = files.toSorted().join(', ');
    expect(given === wanted, `${platform.package} contains ${given}; accepted: ${wanted}`);
  });
  checkBinary(platform);
  const pinned = main.optionalDependencies[platform.package];
  expect(pinned === manifest.version, `${manifest.name} depends on ${platform.package}@${pinned}`);
}
for (const fault of faults) console.error(`wrong: ${fault}`);
process.exitCode = faults.length === 0 ? 0 : 1;

function checkPackage(folder, limit, checkFiles) {
  const cwd = path.join(packages, folder);
  const content = JSON.parse(readFileSync(path.join(cwd, 'package.json'), 'utf8'));
  const [packed] = Object.values(JSON.parse(npmOutput(['pack', '--dry-run', '--json'], cwd)));
  const { name, version, size, unpackedSize, files } = packed;
  console.log(`${name.padEnd(24)}${kilobytes(size)} packed ${kilobytes(unpackedSize)} installed`);
  expect(version === manifest.version, `${name} has the version ${version}, not ${manifest.version}`);
  expect(unpackedSize <= limit, `${name} takes ${unpackedSize} bytes; accepted: ${limit} at most`);
  const scripts = ON_INSTALL.filter((script) => content.scripts?.[script] !== undefined);
  expect(scripts.length === 0, `${name} runs ${scripts.join(', ')} on install`);
  checkFiles(files.map((file) => file.path));
  return content;
}

function checkBinary({ name, binary, os, cpu, libc }) {
  const found = inspectBinary(path.join(packages, name, binary));
  expect(found.os === os && found.cpu === cpu, `${binary} is built for ${found.os} on ${found.cpu}`);
  if (libc !== 'glibc') return expect(found.glibc === undefined, `${binary} requires GLIBC_${found.glibc}`);
  console.log(`${''.padEnd(24)}requires GLIBC_${found.glibc}`);
  const isOld = found.glibc !== undefined && compareVersions(found.glibc, GLIBC) <= 0;
  return expect(isOld, `${binary} requires GLIBC_${found.glibc}; accepted: ${GLIBC} at most`);
}

function kilobytes(bytes) {
  return `${(bytes / 1e3).toFixed(0).padStart(6)} kB`;
}
