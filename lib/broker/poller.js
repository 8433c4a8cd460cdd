'use strict';

const { setImmediate } = require('node:timers');
const { performance } = require('node:perf_hooks');
const { WHEN_EMPTY } = require('../runtime/layouts');
const { pollOnWake, stopPolling } = require('../runtime/native');

/** Turns of the event loop without a message after which a thread goes to sleep. A turn costs about a microsecond. */
const MOST_EMPTY_TURNS = 30;

/** Limits of one turn, in calls of `take` and in milliseconds: timers and sockets come next. */
const MOST_TAKES = 64;
const MOST_MS = 2;

/** How well polling has paid lately: raised when a turn finds messages, lowered when all turns find none. */
const MOST_SCORE = 16;
const FIRST_SCORE = 8;
const VAIN = 4;

/** What taking from every inbox comes to. */
const NOTHING = 0;
const ALL_TAKEN = 1;
const MORE_PENDING = 2;

/** Wakes without polling once the score is used up. */
const WAKES_WITHOUT = 64;

/**
 * Takes messages when the thread is woken, and for a few turns of its event loop after that: a wake takes some fifty
 * microseconds, a turn takes one. If turns keep finding nothing, as on a single core, the thread goes to sleep at once.
 */
class Poller {
  /** Objects with `take(whenEmpty)`, which returns false if nothing was pending. */
  #inboxes = new Set();
  /** Whether a turn is scheduled. */
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
    this.#poll();
  };

  #turn = () => {
    this.#hasTurn = false;
    this.#poll();
  };

  /** Afterwards either a turn is scheduled, or every inbox knows that this thread sleeps. */
  #poll() {
    const found = this.#takeAll(this.#polls);
    if (found === ALL_TAKEN && this.#emptyTurns > 0) this.#score = Math.min(MOST_SCORE, this.#score + 1);
    this.#emptyTurns = found === NOTHING ? this.#emptyTurns + 1 : 0;
    if (found === MORE_PENDING || (this.#polls && this.#emptyTurns < MOST_EMPTY_TURNS)) this.#takeTurn();
    else if (this.#polls) this.#stopPolling();
  }

  /** Takes once more: a message may have arrived before the inbox knew that this thread sleeps. */
  #stopPolling() {
    this.#score -= VAIN;
    if (this.#score < 0) {
      this.#score = 0;
      this.#wakesWithout = WAKES_WITHOUT;
    }
    this.#emptyTurns = 0;
    if (this.#takeAll(false) === MORE_PENDING) this.#takeTurn();
  }

  #takeTurn() {
    this.#hasTurn = true;
    setImmediate(this.#turn);
  }

  /**
   * Takes from every inbox until all are empty or a limit is reached. Yields to other threads only while nothing was found:
   * answers go out after this, so threads that await them would run in vain.
   */
  #takeAll(staysAwake) {
    /** @type {number} */
    let whenEmpty = staysAwake ? WHEN_EMPTY.yield : WHEN_EMPTY.sleep;
    const until = performance.now() + MOST_MS;
    let takes = 0;
    for (let before = -1; takes > before; ) {
      before = takes;
      for (const inbox of this.#inboxes) {
        while (inbox.take(whenEmpty)) {
          if (staysAwake) whenEmpty = WHEN_EMPTY.stayAwake;
          takes += 1;
          if (takes === MOST_TAKES || performance.now() > until) return MORE_PENDING;
        }
      }
    }
    return takes === 0 ? NOTHING : ALL_TAKEN;
  }
}

module.exports = { poller: new Poller() };
