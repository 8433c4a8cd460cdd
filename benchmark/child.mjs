// Measurements in processes of their own: nobody else's garbage, timers or tables are in them.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A process that answers one question at a time. */
export class Child {
  #process;
  #exited = false;

  /** `starter`: a program and its arguments that start Node, and on a system where it becomes what it starts. */
  constructor(url, execArgv = [], starter = []) {
    const [execPath, ...args] = [...starter, process.execPath];
    // What peers warn of belongs to no result; faults come back as answers.
    this.#process = fork(fileURLToPath(url), {
      execPath,
      execArgv: [...args, ...execArgv, '--no-warnings'],
    });
    this.#process.once('exit', () => {
      this.#exited = true;
    });
  }

  /** Rejects with what the child threw, or with how it ended; past `timeoutMs` it is ended. */
  ask(question, timeoutMs = 600_000) {
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
      this.#process.send(question);
    });
  }

  close() {
    this.#process.kill('SIGKILL');
  }
}

/** Answers every question of the process that started this one, and ends with it. */
export function answerWith(answer) {
  process.once('disconnect', () => process.exit());
  process.on('message', async (question) => {
    try {
      process.send({ answer: await answer(question) });
    } catch (error) {
      process.send({ error: error.message });
    }
  });
}

/** One question to a process that does nothing else. */
export async function askOnce(url, question, { execArgv, timeoutMs } = {}) {
  const child = new Child(url, execArgv);
  try {
    return await child.ask(question, timeoutMs);
  } finally {
    child.close();
  }
}
