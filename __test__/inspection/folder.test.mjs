// The folder of the sockets: one that other users could enter or exchange is not used, by the server or the command line.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { freshFolder, Inspected, sluice, socketsIn } from '../helpers/inspected.mjs';

const skip = process.platform === 'win32' && 'sockets are named pipes there';
const isRoot = process.getuid?.() === 0;

/** Opens an inspection in a new process; resolves with the state, and what the process warned of. */
async function stateWith(t, env, folder = undefined) {
  const server = new Inspected(folder, env);
  t.after(() => server.kill());
  await server.start();
  const state = await server.run(0, async ({ load, state }) => {
    const warned = new Promise((resolve) =>
      process.once('warning', ({ code, message }) => resolve({ code, message })),
    );
    state.inspection = load().inspect();
    const reached = await state.inspection.ready();
    return reached === 'failed'
      ? { reached, warning: await warned }
      : { reached, path: state.inspection.path };
  });
  return { ...state, pid: server.pid };
}

/** Neither the server nor the command line uses the folder; both say why. */
async function isRefused(t, folder, why) {
  const { reached, warning, pid } = await stateWith(t, {}, folder);
  assert.equal(reached, 'failed');
  assert.equal(warning.code, 'SLUICE_NOT_INSPECTABLE');
  assert.match(warning.message, why);
  assert.ok(warning.message.includes(folder), warning.message);
  const { status, stderr } = await sluice(['inspect', String(pid)], { folder });
  assert.equal(status, 1);
  assert.match(stderr, why);
  assert.match(stderr, /ignored: it /);
}

test('a folder is made with mode 700, whatever the umask', { skip }, async (t) => {
  const folder = path.join(freshFolder(t), 'made');
  const { reached, path: file } = await stateWith(t, {}, folder);
  assert.equal(reached, 'serving');
  assert.equal(path.dirname(file), folder);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
});

for (const mode of [0o777, 0o755, 0o710]) {
  test(`a folder with mode ${mode.toString(8)} is refused`, { skip }, async (t) => {
    const folder = freshFolder(t);
    chmodSync(folder, mode);
    await isRefused(
      t,
      folder,
      new RegExp(`has the mode ${mode.toString(8)}, which lets other users in; accepted: 700`),
    );
    assert.deepEqual(readdirSync(folder), []);
  });
}

test('a folder of another user is refused', {
  skip: skip || (!isRoot && 'only root can give folders away'),
}, async (t) => {
  const folder = freshFolder(t);
  chownSync(folder, 12_345, 12_345);
  await isRefused(t, folder, /belongs to the user 12345, not to 0/);
  chownSync(folder, 0, 0);
});

test('a symbolic link is refused, also to a folder that would be accepted', { skip }, async (t) => {
  const folder = freshFolder(t);
  const target = path.join(folder, 'target');
  mkdirSync(target, { mode: 0o700 });
  symlinkSync(target, path.join(folder, 'link'));
  await isRefused(t, path.join(folder, 'link'), /is a symbolic link/);
  assert.deepEqual(readdirSync(target), []);
});

test('a folder that every user could replace is refused', { skip }, async (t) => {
  const above = freshFolder(t);
  const folder = path.join(above, 'folder');
  mkdirSync(folder, { mode: 0o700 });
  chmodSync(above, 0o777);
  await isRefused(t, folder, /lies in a directory that every user can change/);
  chmodSync(above, 0o1777);
  assert.equal(
    (await stateWith(t, {}, folder)).reached,
    'serving',
    'with the sticky bit, only its owner can',
  );
});

test('a file in its place, and a path that is too long for a socket, are refused', { skip }, async (t) => {
  const folder = path.join(freshFolder(t), 'x'.repeat(80));
  await isRefusedByServer(t, folder, /has too long a path for a socket/);
  await isRefusedByServer(t, '/dev/null', /is no directory/);
});

async function isRefusedByServer(t, folder, why) {
  const { reached, warning } = await stateWith(t, {}, folder);
  assert.equal(reached, 'failed');
  assert.match(warning.message, why);
}

test('without SLUICE_INSPECT_DIR it is the runtime folder, else the temporary one', { skip }, async (t) => {
  const runtime = freshFolder(t);
  const temporary = freshFolder(t);
  const env = { SLUICE_INSPECT_DIR: '', XDG_RUNTIME_DIR: runtime, TMPDIR: temporary };
  const first = await stateWith(t, env);
  assert.equal(path.dirname(first.path), path.join(runtime, 'sluice'));
  const { stdout } = await sluice(['inspect', String(first.pid), '--json'], { env });
  assert.equal(JSON.parse(stdout).process.pid, first.pid);

  chmodSync(path.join(runtime, 'sluice'), 0o777);
  const second = await stateWith(t, env);
  const ofUser = `/run/user/${process.geteuid()}`;
  const next = existsSync(ofUser) ? `${ofUser}/sluice` : path.join(temporary, `sluice-${process.geteuid()}`);
  assert.equal(path.dirname(second.path), next);
  assert.ok(socketsIn(next).includes(path.basename(second.path)));
});
