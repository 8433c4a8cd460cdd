/*
 * Publishes the packages in npm/: those of platforms and sluice-build first, sluice last, so that an install at any moment
 * finds what it depends on. A version that the registry has already is left as it is, so a release can be run again.
 *
 *   npm run release:publish
 *     --dry-run            uploads nothing, and says what would stop a release
 *     --registry URL       another registry than the one that npm is configured with
 *     --packages FOLDER    other packages than those in npm/
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../addon.mjs';
import { manifest, platforms } from '../platforms.mjs';
import { npmOutput } from './npm-output.mjs';
import { packages as staged } from './paths.mjs';

const { values: options } = parseArgs({
  options: {
    'dry-run': { type: 'boolean', default: false },
    registry: { type: 'string' },
    packages: { type: 'string', default: staged },
  },
});
const isDryRun = options['dry-run'];
const registry = options.registry ?? npmOutput(['config', 'get', 'registry'], root).trim();
const isLocal = ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(registry).hostname);

const reasons = isLocal ? [] : reasonsAgainst(manifest);
for (const reason of reasons) console.error(`${isDryRun ? 'would refuse' : 'refused'}: ${reason}`);
if (reasons.length > 0 && !isDryRun) process.exit(1);

const folders = [...platforms.map(({ name }) => name), `${manifest.name}-build`, manifest.name]
  .map((name) => path.join(options.packages, name))
  .filter((folder) => existsSync(folder));
// All of them before the first upload.
const published = [];
for (const folder of folders) published.push(await isPublished(folder));
for (const [at, folder] of folders.entries()) publish(folder, published[at]);

/** What stops a release of this version. */
function reasonsAgainst({ version, repository }) {
  const { GITHUB_REF_TYPE: refType, GITHUB_REF_NAME: refName } = process.env;
  const without = platforms.filter(
    ({ name, binary }) => !existsSync(path.join(options.packages, name, binary)),
  );
  return [
    repository.url.includes('/OWNER/') && `repository in package.json is the placeholder ${repository.url}`,
    !changelog().includes(`\n## ${version} `) &&
      `CHANGELOG.md has no section "## ${version} (date)": run "npm run release:version"`,
    refType === 'tag' && refName !== `v${version}` && `the tag is ${refName}, and the version ${version}`,
    without.length > 0 && `there is no binary for ${without.map(({ name }) => name).join(', ')}`,
  ].filter((reason) => reason !== false);
}

function changelog() {
  return readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8');
}

function publish(folder, isPublishedBefore) {
  const { name, version } = manifestIn(folder);
  if (isPublishedBefore) {
    console.log(`published before: ${name}@${version}`);
    return;
  }
  const args = ['publish', '--access', 'public', '--tag', version.includes('-') ? 'next' : 'latest'];
  // The registry then shows from which commit and workflow a package comes.
  if (process.env.GITHUB_ACTIONS === 'true' && !isLocal && !isDryRun) args.push('--provenance');
  if (isDryRun) args.push('--dry-run');
  npmOutput([...args, '--loglevel=error', '--registry', registry], folder);
  console.log(`${isDryRun ? 'would publish' : 'published'}: ${name}@${version}`);
}

function manifestIn(folder) {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
}

/** Whether the version in this folder is published, from this repository. */
async function isPublished(folder) {
  if (isDryRun) return false;
  const { name, version } = manifestIn(folder);
  const found = await manifestOf(name, version);
  if (found !== undefined) checkOwn(found);
  return found !== undefined;
}

/** A name that others have must stop a release before anything is uploaded. */
function checkOwn({ name, version, repository }) {
  if (repository?.url === manifest.repository.url) return;
  console.error(
    `refused: ${name}@${version} is published from ${repository?.url ?? 'no repository'}, not from this one`,
  );
  process.exit(1);
}

/** What the registry has of a version. */
async function manifestOf(name, version) {
  const url = new URL(`${name}/${version}`, registry.endsWith('/') ? registry : `${registry}/`);
  // npm runs for seconds in between, and the registry would end an idle connection.
  const response = await fetch(url, { headers: { connection: 'close' } });
  return response.ok ? response.json() : undefined;
}
