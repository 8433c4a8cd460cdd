'use strict';

const { MESSAGE_HEADER, MESSAGE_KINDS, MOST_CROSSING } = require('../runtime/layouts');
const { native } = require('../runtime/native');

/** How many numbers the header of a message has. */
const HEADER = MESSAGE_HEADER.LENGTH;

/** The first number of a header is the message's kind plus this many times its codec. */
const CODEC_UNIT = 32;

/** Why a request is cancelled; crosses in place of its endpoint. */
const CANCELLED = { aborted: 0, timedOut: 1, closed: 2 };

/** Headers of the messages that cross next, and of those that were taken last. */
const outgoing = new Float64Array(MOST_CROSSING * HEADER);
const incoming = new Float64Array(MOST_CROSSING * HEADER);
native.shareMessageHeaders(outgoing, incoming);

module.exports = { CANCELLED, CODEC_UNIT, HEADER, KIND: MESSAGE_KINDS, incoming, outgoing };
