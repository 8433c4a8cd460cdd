/*
 * Sets the version everywhere it is written, and gives the unreleased changes of CHANGELOG.md a section of that version.
 *
 *   npm run release:version -- 0.2.0
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../addon.mjs';
import { fail } from '../requirements.mjs';

const [version] = process.argv.slice(2);
if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version ?? '')) {
  fail(`${version ?? 'nothing'} is no version; accepted: "npm run release:version -- 0.2.0".`);
}
const today = new Date().toISOString().slice(0, 10);

rewrite('package.json', /("version": ")[^"]+/);
rewrite('package-lock.json', /(^\{\n {2}"name": "sluice",\n {2}"version": ")[^"]+/);
rewrite('package-lock.json', /("": \{\n {6}"name": "sluice",\n {6}"version": ")[^"]+/);
rewrite('Cargo.toml', /(\[workspace\.package\]\nversion = ")[^"]+/);
for (const crate of ['sluice', 'sluice-core']) {
  rewrite('Cargo.lock', new RegExp(`(name = "${crate}"\\nversion = ")[^"]+`));
}
replace('CHANGELOG.md', /\n## Unreleased\n/, () => `\n## Unreleased\n\n## ${version} (${today})\n`);
console.log(`sluice: the version is ${version}; commit this, and push the tag v${version} to release it`);

/** Writes the version after what the group of the pattern matches. */
function rewrite(name, pattern) {
  replace(name, pattern, (_, before) => before + version);
}

function replace(name, pattern, replacement) {
  const file = path.join(root, name);
  const text = readFileSync(file, 'utf8');
  if (!pattern.test(text)) fail(`${name} has no place for the version: ${pattern}.`);
  writeFileSync(file, text.replace(pattern, replacement));
}
