'use strict';

const { performance } = require('node:perf_hooks');
const { pollOnWake, stopPolling } = require('../runtime/native');

/** Turns of the event loop without a message after which a thread sleeps. A turn costs about a microsecond. */
const MOST_EMPTY_TURNS = 30;

/** Looks between two turns of the event loop, and milliseconds: timers and sockets come first after that. */
const MOST_LOOKS = 64;
const MOST_MS = 2;

/** How well polling has paid lately: it goes up with each message that a turn found, down with each budget spent in vain. */
const MOST_SCORE = 16;
const FIRST_SCORE = 8;
const VAIN = 4;

/** What a look into every inbox comes to. */
const NOTHING = 0;
const ALL_TAKEN = 1;
const MORE_WAITS = 2;

/** What an inbox does that is empty, as native code has it: waits for the bell, stays awake, or lets other threads run first. */
const SLEEP = 0;
const STAY_AWAKE = 1;
const LET_OTHERS_RUN = 2;

/** Rings that are answered without polling once the score is used up. */
const WAKES_WITHOUT = 64;

/**
 * Looks for messages when the thread's bell rings, and for a few turns of its event loop after that: waking a thread takes
 * some fifty microseconds, a turn takes one. A thread whose turns find nothing, as on a single core, soon sleeps at once.
 */
class Poller {
  /** What is looked into: objects with `take(whenEmpty)`, which is false where nothing was. */
  #inboxes = new Set();
  /** Whether a turn is to come. */
  #hasTurn = false;
  #polls = true;
  #score = FIRST_SCORE;
  #wakesWithout = 0;
  #emptyTurns = 0;

  add(inbox) {
    if (this.#inboxes.size === 0) pollOnWake(this.#wake);
    this.#inboxes.add(inbox);
  }

  remove(inbox) {
    this.#inboxes.delete(inbox);
    if (this.#inboxes.size === 0) stopPolling(this.#wake);
  }

  #wake = () => {
    if (this.#hasTurn) return;
    this.#emptyTurns = 0;
    if (this.#wakesWithout > 0) this.#wakesWithout -= 1;
    this.#polls = this.#wakesWithout === 0;
    this.#look();
  };

  #turn = () => {
    this.#hasTurn = false;
    this.#look();
  };

  /** Ends with a turn to come, or with every inbox knowing that this thread sleeps. */
  #look() {
    const found = this.#takeAll(this.#polls);
    if (found === ALL_TAKEN && this.#emptyTurns > 0) this.#score = Math.min(MOST_SCORE, this.#score + 1);
    this.#emptyTurns = found === NOTHING ? this.#emptyTurns + 1 : 0;
    if (found === MORE_WAITS || (this.#polls && this.#emptyTurns < MOST_EMPTY_TURNS)) this.#takeTurn();
    else if (this.#polls) this.#stopPolling();
  }

  /** Looks once more: a message may have come between the last look and the word that this thread sleeps. */
  #stopPolling() {
    this.#score -= VAIN;
    if (this.#score < 0) {
      this.#score = 0;
      this.#wakesWithout = WAKES_WITHOUT;
    }
    this.#emptyTurns = 0;
    if (this.#takeAll(false) === MORE_WAITS) this.#takeTurn();
  }

  #takeTurn() {
    this.#hasTurn = true;
    setImmediate(this.#turn);
  }

  /**
   * Looks into every inbox until all are empty, or until others are to have their turn. Other threads run first only
   * while nothing was found: what is answered goes out after this, and those who wait for it would run in vain.
   */
  #takeAll(staysAwake) {
    let whenEmpty = staysAwake ? LET_OTHERS_RUN : SLEEP;
    const until = performance.now() + MOST_MS;
    let looks = 0;
    for (let before = -1; looks > before; ) {
      before = looks;
      for (const inbox of this.#inboxes) {
        while (inbox.take(whenEmpty)) {
          if (staysAwake) whenEmpty = STAY_AWAKE;
          looks += 1;
          if (looks === MOST_LOOKS || performance.now() > until) return MORE_WAITS;
        }
      }
    }
    return looks === 0 ? NOTHING : ALL_TAKEN;
  }
}

module.exports = { poller: new Poller() };
