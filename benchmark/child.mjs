// Measurements in separate processes, free of the garbage, timers and tables of others.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process that answers one request at a time. */
export class Child {
  #process;
  #exited = false;

  /** `starter`: a command prefix that starts Node.js by replacing itself with it, such as `taskset`. */
  constructor(url, execArgv = [], starter = []) {
    const [execPath, ...args] = [...starter, process.execPath];
    // Warnings of other packages belong to no result; errors come back as answers.
    this.#process = fork(fileURLToPath(url), {
      execPath,
      execArgv: [...args, ...execArgv, '--no-warnings'],
    });
    this.#process.once('exit', () => {
      this.#exited = true;
    });
  }

  /** Rejects with the error of the child, or with how it ended; past `timeoutMs` the child is killed. */
  ask(request, timeoutMs = 600_000) {
    return new Promise((resolve, reject) => {
      if (this.#exited) return reject(new Error('its process has ended'));
      const settle = (result) => {
        clearTimeout(timer);
        this.#process.off('message', settle).off('exit', onExit);
        if (result.error === undefined) resolve(result.answer);
        else reject(new Error(result.error));
      };
      const onExit = (code, signal) =>
        settle({ error: `its process ended with ${signal ?? `code ${code}`}` });
      const timer = setTimeout(() => {
        settle({ error: `it took over ${Math.round(timeoutMs / 1000)} s` });
        this.close();
      }, timeoutMs);
      this.#process.once('message', settle).once('exit', onExit);
      this.#process.send(request);
    });
  }

  close() {
    this.#process.kill('SIGKILL');
  }
}

/** Answers every request of the parent process, and exits with it. */
export function answerWith(answer) {
  process.once('disconnect', () => process.exit());
  process.on('message', async (request) => {
    try {
      process.send({ answer: await answer(request) });
    } catch (error) {
      process.send({ error: error.message });
    }
  });
}

/** Starts a process for a single request. */
export async function askOnce(url, request, { execArgv, timeoutMs } = {}) {
  const child = new Child(url, execArgv);
  try {
    return await child.ask(request, timeoutMs);
  } finally {
    child.close();
  }
}
