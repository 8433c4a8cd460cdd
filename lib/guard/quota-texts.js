'use strict';

/** A power of two. */
const PLACES = 256;

/** Values of `RateLimit` for one policy. The latest ones are kept: a text that is made anew costs 0.1 µs and its memory. */
class QuotaTexts {
  #beginning;
  #texts = [];
  #remaining = [];
  #seconds = [];

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
    const text = `${this.#beginning}${remaining};t=${seconds}`;
    // Makes V8 flatten the string, which costs less than Node's check of an unflattened one.
    text.charCodeAt(0);
    this.#remaining[place] = remaining;
    this.#seconds[place] = seconds;
    this.#texts[place] = text;
    return text;
  }
}

module.exports = { QuotaTexts };
