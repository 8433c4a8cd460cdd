'use strict';

const { native } = require('../runtime/native');

/** Numbers that go with each message: kind and codec, sender, request's number, its place there, endpoint, deadline. */
const HEADER = 6;

/** Messages whose numbers cross at once, as native code has it. */
const MOST_CROSSING = 64;

/** What a message is. Those from 16 on are news of the broker itself. */
const KIND = {
  request: 0,
  reply: 1,
  failure: 2,
  message: 3,
  cancel: 4,
  joined: 16,
  left: 17,
  room: 18,
  askedToLeave: 19,
  destroyed: 20,
};

/** The first number of a header is its kind and so many times its codec. */
const CODEC_UNIT = 32;

/** Why a request is cancelled, where its endpoint stood. */
const CANCELLED = { aborted: 0, timedOut: 1, closed: 2 };

const outgoing = new Float64Array(MOST_CROSSING * HEADER);
const incoming = new Float64Array(MOST_CROSSING * HEADER);
native.brokerNumbers(outgoing, incoming);

module.exports = { CANCELLED, CODEC_UNIT, HEADER, KIND, incoming, outgoing };
