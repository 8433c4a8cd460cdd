'use strict';

const { isOwnRequest } = require('../dashboard/own-requests');
const { beforeAnswer, releaseAtEnd, reportAnswer } = require('./answer');
const { prepareRefusal } = require('./refused-answer');

/** Follows the answers of a guard's requests: prepares those to refused ones, and tells the recorder what they mean. */
class AnswerWatch {
  /** What records; it is replaced where the options change. */
  recorder;
  #admission;
  #counts;
  #refusedBody;

  constructor({ admission, counts }, recorder, { refusedBody }) {
    this.recorder = recorder;
    this.#admission = admission;
    this.#counts = counts;
    this.#refusedBody = refusedBody;
  }

  /** See `Guard.watch`. */
  watch(decision, incoming, response, isWatched) {
    if (!decision.allowed) this.#prepareRefusal(incoming, response);
    if (decision.awaitsAnswer) reportAnswer(response, decision);
    if (decision.hasPlaces) releaseAtEnd(response, decision);
    if (!isWatched && decision.refusal?.reason !== 'ban') this.watchAnswer(incoming, response);
  }

  /** The answer to a request is not seen. */
  doNotWatch(decision, incoming) {
    decision.releasePlaces();
    if (!decision.allowed) this.#prepareRefusal(incoming, undefined);
  }

  /** Records what the answer to a request means, whatever is decided about the request. */
  watchAnswer(incoming, response) {
    if (!this.recorder.recordsAnswers || isOwnRequest(incoming)) return;
    const address = this.#admission.judgedOf(incoming);
    beforeAnswer(response, (status) => this.recorder.answered(incoming, address, status));
  }

  /** Records an event of the application's own for a request's client. */
  record(incoming, event) {
    this.recorder.record(incoming, this.#admission.judgedOf(incoming), event);
  }

  #prepareRefusal(incoming, response) {
    try {
      prepareRefusal(incoming, response, this.#refusedBody);
    } catch (error) {
      this.#counts.fault(error);
    }
  }
}

module.exports = { AnswerWatch };
