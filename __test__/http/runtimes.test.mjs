// Refusals at accept in Node, Bun and Deno: one answer, and the request is not served.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { runtime } from '../helpers/runtimes.mjs';
import { readAll } from '../helpers/sockets.mjs';

const FILE = fileURLToPath(new URL('../helpers/refusing-process.cjs', import.meta.url));

for (const name of ['node', 'bun', 'deno']) {
  const { execPath, flags, skip } = runtime(name);

  test(`${name}: a client that is refused at accept gets one answer`, { skip }, async (t) => {
    const child = spawn(execPath, [...flags, FILE], { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const port = Number((await lines.next()).value);
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const answers = (await readAll(socket)).match(/HTTP\/1\.1 \d+/g);
    assert.deepEqual(answers, ['HTTP/1.1 503']);
    child.stdin.end();
    await exited;
    assert.equal((await lines.next()).done, true, 'no request was served');
  });
}
