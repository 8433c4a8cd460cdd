'use strict';

const { frameLines } = require('./frames');
const { layoutOf } = require('./output');
const { fitted, printable } = require('./text');

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

const LEAST_ROWS = 2;
const KEYS_TO_STOP = new Set(['q', 'Q', '\u0003', '\u0004']);
const HINT = 'q or Ctrl-C ends';

/** A terminal that shows the latest snapshot, and is left as it was. `stop` is called when a key asks for the end. */
class Screen {
  #io;
  #stop;
  #snapshot;
  #status = HINT;
  #hasEnded = false;
  #draw = () => this.#redraw();
  #onKeys = (keys) => {
    if ([...String(keys)].some((key) => KEYS_TO_STOP.has(key))) this.#stop();
  };
  #leave = () => this.end();

  constructor(io, stop) {
    this.#io = io;
    this.#stop = stop;
    const { stdin, stdout } = io;
    stdout.write(ENTER);
    stdout.on('resize', this.#draw);
    process.on('exit', this.#leave);
    if (stdin.isTTY !== true) return;
    stdin.setRawMode(true);
    stdin.on('data', this.#onKeys);
    stdin.resume();
  }

  show(snapshot) {
    this.#snapshot = snapshot;
    this.#status = HINT;
    this.#redraw();
  }

  /** Says why no snapshots come. */
  away(why) {
    this.#status = `${why}; connecting again`;
    this.#redraw();
  }

  end() {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { stdin, stdout } = this.#io;
    stdout.off('resize', this.#draw);
    process.off('exit', this.#leave);
    if (stdin.isTTY === true) {
      stdin.off('data', this.#onKeys);
      stdin.setRawMode(false);
      stdin.pause();
    }
    stdout.write(LEAVE);
  }

  #redraw() {
    if (this.#snapshot === undefined || this.#hasEnded) return;
    const { stdout } = this.#io;
    const layout = layoutOf(this.#io);
    const height = Math.max(LEAST_ROWS, stdout.rows || 24);
    const lines = frameLines(this.#snapshot, layout, height - 1).slice(0, height - 1);
    while (lines.length < height - 1) lines.push('');
    lines.push(layout.paint('dim', fitted(printable(this.#status), layout.width)));
    stdout.write(`${HOME}${lines.map((line) => `${line}${CLEAR_LINE}`).join('\r\n')}${CLEAR_BELOW}`);
  }
}

module.exports = { Screen };
