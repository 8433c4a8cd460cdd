// A private registry on loopback, with the packages as a release publishes them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { binaryPath, root } from '../../scripts/addon.mjs';
import { platforms } from '../../scripts/platforms.mjs';
import { npmOutput } from '../../scripts/release/npm-output.mjs';
import { stage } from '../../scripts/release/stage.mjs';

const SERVER = fileURLToPath(new URL('registry-server.mjs', import.meta.url));

/** Starts the registry and publishes to it. Everything lies in `scratch`. Returns its URL, and `stop()`. */
export async function startRegistry(scratch) {
  const upstream = setting('registry');
  const ca = setting('cafile');
  const config = { storage: path.join(scratch, 'storage'), upstream, ca };
  const server = spawn(process.execPath, [SERVER, JSON.stringify(config)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [port] = await Promise.race([once(server, 'message'), once(server, 'exit').then(() => [])]);
  assert.ok(port, 'the registry did not start');
  const url = `http://127.0.0.1:${port}/`;
  try {
    await publish(scratch, url);
  } catch (error) {
    server.kill();
    throw error;
  }
  return { url, stop: () => server.kill() };
}

/** The packages with the binary that was built here. Those of other platforms get a stand-in, which nothing loads. */
async function publish(scratch, url) {
  const [from, into] = ['artifacts', 'packages'].map((name) => path.join(scratch, name));
  mkdirSync(from);
  for (const { binary } of platforms) writeFileSync(path.join(from, binary), `stand-in for ${binary}`);
  copyFileSync(binaryPath, path.join(from, path.basename(binaryPath)));
  await stage({ from, into });
  const token = path.join(scratch, 'publisher.npmrc');
  writeFileSync(token, `//${new URL(url).host}/:_authToken=anyone\n`);
  const args = [path.join(root, 'scripts/release/publish.mjs'), '--registry', url, '--packages', into];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env: { ...process.env, npm_config_userconfig: token },
    timeout: 300_000,
  });
  assert.equal(status, 0, stderr);
  const published = stdout.match(/^published: .*$/gm);
  assert.equal(published.length, platforms.length + 2, stdout);
  assert.match(published.at(-1), /^published: sluice@/);
}

/** A setting of npm, or undefined. */
function setting(name) {
  const value = npmOutput(['config', 'get', name], root).trim();
  return value === 'null' || value === 'undefined' || value === '' ? undefined : value;
}
