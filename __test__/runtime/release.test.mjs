// What stops a release, and what is read from a binary before it is published.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { binaryPath, platformSuffix, root } from '../../scripts/addon.mjs';
import { compareVersions, inspectBinary } from '../../scripts/release/inspect-binary.mjs';

const { repository, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

function scratch(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-release-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('a release is refused without binaries, with another tag, and while the repository is a placeholder', (t) => {
  const script = path.join(root, 'scripts', 'release', 'publish.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--packages', scratch(t)], {
    encoding: 'utf8',
    env: { ...process.env, GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: 'v0.0.0' },
  });
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^refused: there is no binary for darwin-arm64, darwin-x64, linux-arm64-gnu, /m);
  assert.ok(stderr.includes(`refused: the tag is v0.0.0, and the version ${version}\n`), stderr);
  const isPlaceholder = repository.url.includes('/OWNER/');
  assert.equal(stderr.includes('refused: repository in package.json is the placeholder'), isPlaceholder);
});

test('a binary tells its system, its processor and the C library that it requires', (t) => {
  const { os, cpu, glibc } = inspectBinary(binaryPath);
  assert.deepEqual([os, cpu], [process.platform, process.arch]);
  assert.equal(glibc !== undefined, platformSuffix().endsWith('-gnu'));
  const file = path.join(scratch(t), 'text');
  writeFileSync(file, 'GLIBC_2.17 GLIBC_2.3.4 GLIBC_2.4');
  assert.deepEqual(inspectBinary(file), { os: undefined, cpu: undefined, glibc: '2.17' });
});

test('versions are compared by their numbers', () => {
  assert.deepEqual(['2.28', '2.3.4', '2.17', '2.3'].sort(compareVersions), ['2.3', '2.3.4', '2.17', '2.28']);
});
