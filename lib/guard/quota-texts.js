'use strict';

/** Powers of two. */
const PLACES = 256;
const HEADS = 64;

/** What the last two digits count up to. */
const STEP = 100;

/**
 * Values of `RateLimit` for one policy. The latest ones are kept: a text that is made anew costs 0.1 µs and its memory. Long
 * numbers, of which few meet again, are put together of two parts, which are kept as well: printing one costs more.
 */
class QuotaTexts {
  #beginning;
  #texts = [];
  #remaining = [];
  #seconds = [];
  /** Texts up to the last two digits, and the numbers that these digits are left out of. */
  #heads = [];
  #headNumbers = [];
  /** The last two digits and what follows, by these digits. */
  #tails = [];
  #tailSeconds = [];

  /** `beginning`: the item up to what remains. */
  constructor(beginning) {
    this.#beginning = beginning;
  }

  textOf(remaining, seconds) {
    const place = (remaining ^ (seconds << 4)) & (PLACES - 1);
    if (this.#remaining[place] === remaining && this.#seconds[place] === seconds) return this.#texts[place];
    return this.#keep(place, remaining, seconds);
  }

  #keep(place, remaining, seconds) {
    const text = flat(this.#make(remaining, seconds));
    this.#remaining[place] = remaining;
    this.#seconds[place] = seconds;
    this.#texts[place] = text;
    return text;
  }

  #make(remaining, seconds) {
    if (remaining < STEP) return `${this.#beginning}${remaining};t=${seconds}`;
    const hundreds = Math.floor(remaining / STEP);
    return this.#headOf(hundreds) + this.#tailOf(remaining - hundreds * STEP, seconds);
  }

  #headOf(hundreds) {
    const place = hundreds % HEADS;
    if (this.#headNumbers[place] !== hundreds) {
      this.#heads[place] = flat(`${this.#beginning}${hundreds}`);
      this.#headNumbers[place] = hundreds;
    }
    return this.#heads[place];
  }

  #tailOf(digits, seconds) {
    if (this.#tailSeconds[digits] !== seconds) {
      this.#tails[digits] = flat(`${String(digits).padStart(2, '0')};t=${seconds}`);
      this.#tailSeconds[digits] = seconds;
    }
    return this.#tails[digits];
  }
}

/** Makes V8 flatten a string, which costs less than Node's check of an unflattened one. */
function flat(text) {
  text.charCodeAt(0);
  return text;
}

module.exports = { QuotaTexts };
