// Runs one program of a page in a process of its own.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { freePortIn } from '../helpers/free-port.mjs';
import { runnerOf } from './project.mjs';

const PRELOAD = fileURLToPath(new URL('preload.cjs', import.meta.url));
const TIMEOUT_MS = 60_000;
/** Of the descriptor on which the program reports that it listens. */
const REPORTS = 9;
/** How a program ends by itself. */
const ENDED = { code: 0, signal: null };
/** What a program is asked for that listens, and has no requests of its own. */
const ANY = [{ method: 'GET', path: '/', headers: {}, statuses: [] }];
const PORTS = { first: 11_000, count: 9_000 };

/** Runs a file, drives it, and returns the lines that it printed. */
export async function runProgram({ file, cwd, project, block }) {
  const port = await freePortIn(PORTS);
  const program = new Program({ file, cwd, project, block, port });
  try {
    await program.isUp();
    if (program.listens) await drive(block.requests.length > 0 ? block.requests : ANY, port);
    else assert.deepEqual(block.requests, [], `it does not listen:\n${program.output}`);
    await program.hasPrinted(block.prints);
    return await program.end();
  } finally {
    program.kill();
  }
}

class Program {
  listens = false;
  #child;
  #changed = new EventTarget();
  #stdout = '';
  #stderr = '';
  #exited;
  #stays;

  constructor({ file, cwd, project, block, port }) {
    const args = block.runner ? runnerOf(block.runner, file) : ['--require', PRELOAD, file];
    const stdio = ['ignore', 'pipe', 'pipe', ...Array(REPORTS - 3).fill('ignore'), 'pipe'];
    const env = {
      ...process.env,
      SNIPPET_PORT: port,
      SNIPPET_SLUICE: path.join(project, 'node_modules/sluice'),
    };
    delete env.NODE_TEST_CONTEXT;
    this.#stays = block.stays === true;
    this.#child = spawn(process.execPath, args, {
      cwd,
      env,
      stdio,
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    this.#exited = once(this.#child, 'close').then(([code, signal]) => this.#change({ code, signal }));
    this.#child.stdio[REPORTS].once('data', () => this.#change({ listens: true }));
    this.#child.stdout.on('data', (chunk) => this.#change({ stdout: chunk }));
    this.#child.stderr.on('data', (chunk) => this.#change({ stderr: chunk }));
  }

  #change({ code, signal, listens, stdout = '', stderr = '' }) {
    if (code !== undefined) this.ended = { code, signal };
    if (listens) this.listens = true;
    this.#stdout += stdout;
    this.#stderr += stderr;
    this.#changed.dispatchEvent(new Event('change'));
  }

  async #until(isTrue) {
    while (!isTrue() && this.ended === undefined) {
      await new Promise((resolve) => this.#changed.addEventListener('change', resolve, { once: true }));
    }
  }

  /** Waits until it listens, has ended, or has printed where it keeps running. */
  isUp() {
    return this.#until(() => this.listens || (this.#stays && this.#stdout !== ''));
  }

  async hasPrinted(lines) {
    const missing = () => lines.filter((line) => !this.#lines().includes(line));
    await this.#until(() => missing().length === 0);
    assert.deepEqual(missing(), [], `it does not print these:\n${this.output}`);
  }

  /** Ends what keeps running; fails if it has failed or written an error. */
  async end() {
    if (this.listens || this.#stays) {
      const failed = this.ended;
      this.kill();
      await this.#exited;
      if (failed !== undefined) assert.deepEqual(failed, ENDED, this.output);
    } else {
      await this.#exited;
      assert.deepEqual(this.ended, ENDED, this.output);
    }
    if (this.#child.spawnargs.includes(PRELOAD)) assert.equal(this.#stderr, '');
    return this.#lines();
  }

  #lines() {
    return this.#stdout.split('\n').filter((line) => line !== '');
  }

  get output() {
    return `${this.#stdout}${this.#stderr}`;
  }

  kill() {
    if (this.ended === undefined) this.#child.kill('SIGKILL');
  }
}

/** Sends the requests one after the other; each must get its status. */
async function drive(requests, port) {
  for (const request of requests) {
    const answered = [];
    for (const _ of request.statuses) answered.push(await ask(request, port));
    assert.deepEqual(answered, request.statuses, `${request.method} ${request.path}`);
  }
  // An error that follows an answer ends the program before it answers again.
  const last = requests.at(-1);
  const status = await ask(last, port);
  assert.ok(status < 500 || last.statuses.includes(status), `${last.path}: ${status}`);
}

/** The status of the answer. */
async function ask({ method, path: target, headers, body }, port) {
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const options = { port, host: '127.0.0.1', method, path: target, headers: { ...type, ...headers } };
  const request = http.request({ ...options, agent: false, timeout: TIMEOUT_MS }).end(body);
  request.on('timeout', () => request.destroy(new Error('no answer')));
  const [response] = await once(request, 'response');
  await text(response);
  return response.statusCode;
}
