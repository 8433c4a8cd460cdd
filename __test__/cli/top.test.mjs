// `sluice top`: frames without a terminal, a live screen on one, and what happens when the server goes.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import cli from '../../lib/cli/index.js';
import text from '../../lib/cli/text.js';
import { sluice, startCommand, startServer } from '../helpers/inspected.mjs';

const skip = process.platform === 'win32' && 'sockets are named pipes there';

const HOME = '\u001b[H';
/** A terminal: `io` for the command, and what it shows. */
function terminal({ columns, rows, folder }) {
  const stdout = Object.assign(new EventEmitter(), { isTTY: true, columns, rows });
  const stdin = Object.assign(new EventEmitter(), {
    isTTY: true,
    isRaw: false,
    setRawMode(isRaw) {
      stdin.isRaw = isRaw;
    },
    resume() {},
    pause() {},
  });
  const stderr = { text: '', write: (part) => (stderr.text += part) };
  const written = [];
  const waiting = [];
  stdout.write = (part) => {
    written.push(part);
    for (const wake of waiting.splice(0)) wake();
  };
  const io = { stdin, stdout, stderr, env: { SLUICE_INSPECT_DIR: folder } };
  /** The lines of the next frame, without colours; of one that `accepts`, if given. */
  const frame = async (accepts = () => true) => {
    for (;;) {
      await new Promise((wake) => waiting.push(wake));
      const last = written.at(-1);
      if (!last.startsWith(HOME)) continue;
      const lines = stripVTControlCharacters(last.slice(HOME.length)).split('\r\n');
      if (accepts(lines)) return lines;
    }
  };
  return { io, stdin, stdout, stderr, written, frame };
}

test('without a terminal it prints one frame, or as many as are asked for', { skip }, async (t) => {
  const server = await startServer(t, { options: { title: 'shop' } });
  const one = await sluice(['top'], server);
  assert.deepEqual([one.status, one.stderr], [0, '']);
  assert.equal(one.stdout.match(/^shop {2}process /gm).length, 1);
  const two = await sluice(['top', String(server.pid), '--count', '2'], server);
  assert.equal(two.stdout.match(/^shop {2}process /gm).length, 2);
  const json = await sluice(['top', '--json', '--count', '2'], server);
  const snapshots = json.stdout.trim().split('\n').map(JSON.parse);
  assert.deepEqual(
    snapshots.map(({ process: of }) => of.pid),
    [server.pid, server.pid],
  );
});

test('a terminal is filled and not exceeded, follows its size, and is left as it was', {
  skip,
}, async (t) => {
  const server = await startServer(t, { options: {} });
  await server.run(0, ({ state }) => {
    for (let client = 0; client < 40; client++) {
      for (let call = 0; call < 12; call++) state.guard.limiter.tryConsume(`203.0.113.${client}`);
    }
  });
  const screen = terminal({ columns: 100, rows: 30, folder: server.folder });
  const running = cli.run(['top'], screen.io);
  const first = await screen.frame();
  assert.equal(screen.stdin.isRaw, true);
  assert.equal(first.length, 30);
  assert.ok(first.every((line) => text.widthOf(line) <= 100));
  assert.ok(first.some((line) => line.startsWith('Refused most')));
  assert.equal(first.at(-1), 'q or Ctrl-C ends');
  for (const [columns, rows] of [
    [40, 12],
    [12, 3],
    [1, 1],
    [200, 60],
  ]) {
    Object.assign(screen.stdout, { columns, rows });
    const drawn = screen.frame();
    screen.stdout.emit('resize');
    const lines = await drawn;
    assert.equal(lines.length, Math.max(2, rows));
    assert.ok(
      lines.every((line) => text.widthOf(line) <= Math.max(1, columns)),
      `${columns}: ${JSON.stringify(lines)}`,
    );
  }
  screen.stdin.emit('data', Buffer.from('xq'));
  assert.equal(await running, 0);
  assert.equal(screen.stdin.isRaw, false);
  assert.equal(
    screen.written.at(-1),
    '\u001b[?25h\u001b[?1049l',
    'the cursor is back, and the screen from before',
  );
  assert.equal(screen.stdout.listenerCount('resize'), 0);
});

test('Ctrl-C ends it', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  const screen = terminal({ columns: 80, rows: 24, folder: server.folder });
  const running = cli.run(['top'], screen.io);
  await screen.frame();
  screen.stdin.emit('data', Buffer.from('\u0003'));
  assert.equal(await running, 0);

  const command = startCommand(['top', '--json'], server);
  await command.said(/\n/);
  command.kill('SIGINT');
  assert.deepEqual(await command.exited, [0, null]);
});

test('when the thread that serves ends, it goes on with the next', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  const command = startCommand(['top', '--json'], server);
  await command.said(/\n/);
  await server.terminate(0);
  const before = command.stdout.length;
  await command.said(new RegExp(`^[^]{${before},}\\n`));
  command.kill('SIGTERM');
  assert.deepEqual(await command.exited, [0, null]);
});

test('when the server is killed, it says so and fails', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  const screen = terminal({ columns: 80, rows: 24, folder: server.folder });
  const running = cli.run(['top'], screen.io);
  await screen.frame();
  await server.kill();
  assert.equal(await running, 1);
  assert.equal(screen.stderr.text, `sluice: process ${server.pid} has ended\n`);
  assert.equal(screen.written.at(-1), '\u001b[?25h\u001b[?1049l');
  assert.equal(screen.stdin.isRaw, false);
});
