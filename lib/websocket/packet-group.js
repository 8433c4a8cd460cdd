'use strict';

/** The head of an event or an acknowledgement with attachments, which follow as so many binary packets. */
const HEAD = /^[56](\d+)-/;

/** What the decoder accepts by default. Messages with more are not held: each of their packets is charged as a message. */
const MOST_ATTACHMENTS = 10;

/**
 * The packets of one message of Socket.IO: a text, and after it the attachments that it names. They pass together or not at
 * all: its decoder fails where an attachment is missing. So a head is held until its attachments have arrived.
 */
class PacketGroup {
  #emit;
  #held = [];
  /** How many attachments are awaited, and whether they are dropped. */
  #awaited = 0;
  #isDropped = false;

  /** `emit(packet)` passes a packet on. */
  constructor(emit) {
    this.#emit = emit;
  }

  /** Whether the next attachment belongs to a message that was charged. */
  get isOpen() {
    return this.#awaited > 0;
  }

  /** Whether the packet belongs to a message that was dropped. */
  skips(packet) {
    if (this.#awaited === 0) return false;
    // Text ends the group early: the peer breaks the protocol, which the decoder is to see.
    if (typeof packet === 'string') {
      this.#flush();
      return false;
    }
    if (!this.#isDropped) return false;
    this.#awaited -= 1;
    return true;
  }

  /** Passes a charged packet on, or holds it. Returns whether it was passed on. */
  pass(packet) {
    if (this.#awaited > 0) this.#awaited -= 1;
    else this.#begin(packet, false);
    this.#held.push(packet);
    if (this.#awaited > 0) return false;
    this.#flush();
    return true;
  }

  /** Drops a refused packet with the rest of its message. */
  drop(packet) {
    if (this.#awaited > 0) this.#awaited -= 1;
    else this.#begin(packet, true);
    this.#isDropped = true;
    this.#held = [];
  }

  #begin(packet, isDropped) {
    const attachments = typeof packet === 'string' ? Number(HEAD.exec(packet)?.[1] ?? 0) : 0;
    this.#awaited = attachments > MOST_ATTACHMENTS ? 0 : attachments;
    this.#isDropped = isDropped;
  }

  #flush() {
    const held = this.#held;
    this.#held = [];
    this.#awaited = 0;
    this.#isDropped = false;
    for (const packet of held) this.#emit(packet);
  }
}

module.exports = { PacketGroup };
