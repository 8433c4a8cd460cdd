'use strict';

const { addStream } = require('../http/open-streams');
const { native } = require('../runtime/native');
const { refusalOf } = require('./access');
const { HEADERS, sendSentence } = require('./page');

const INTERVAL_MS = 1000;
/** How often it is asked again whether a viewer may see the dashboard. */
const RECHECK_MS = 60_000;
/** Bytes that may wait for a viewer. Beyond that it is dropped; its browser connects again. */
const MOST_PENDING = 2 * 1024 * 1024;
/** Seconds of history in each message: a viewer that missed one has no gap. */
const OVERLAP_S = 5;
const RETRY_MS = 2000;

const STREAM_HEADERS = {
  ...HEADERS,
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
};

/** The open event streams of one dashboard in one thread. All get the same snapshot, which is taken once per interval. */
class Viewers {
  #snapshots;
  #most;
  #authorize;
  #facts;
  #open = new Set();
  #timer;
  /** Applications of Fastify that it is part of. Once the last of them closes, no viewer is let in. */
  #applications = 0;
  #isClosed = false;

  /** `facts` is what the page has to know of the dashboard itself. */
  constructor({ snapshots, maxViewers, authorize, facts }) {
    this.#snapshots = snapshots;
    this.#most = maxViewers;
    this.#authorize = authorize;
    this.#facts = facts;
  }

  get count() {
    return this.#open.size;
  }

  /** Answers with a stream: the last hour, then a snapshot each second. */
  add(req, res) {
    // Its 'close' has been emitted already, and nothing would remove the viewer.
    if (isGone(req, res)) return;
    if (this.#isClosed) return sendSentence(req, res, 503, 'The server is closing.', { 'Retry-After': '5' });
    if (this.#open.size >= this.#most) {
      const why = `${this.#most} viewers watch already. Close one, or raise maxViewers.`;
      return sendSentence(req, res, 503, why, { 'Retry-After': '5' });
    }
    const viewer = { req, res, checkedAt: Date.now(), forget: () => {} };
    const end = () => this.#remove(viewer);
    viewer.forget = addStream(req.socket?.server, end);
    this.#open.add(viewer);
    res.once('close', end);
    // An error of the connection is followed by its close.
    res.on('error', () => {});
    res.writeHead(200, STREAM_HEADERS);
    res.write(`retry: ${RETRY_MS}\n\n`);
    send(viewer, 'hello', JSON.stringify({ ...this.#facts, history: this.#snapshots.history(0) }));
    send(viewer, 'snapshot', this.#snapshot());
    this.#timer ??= setInterval(() => this.#tick(), INTERVAL_MS).unref();
  }

  /** Sends what has changed now, as after an action. */
  refresh() {
    if (this.#open.size > 0) this.#sendAll();
  }

  /** An application begins; `endAll` follows when it closes. */
  begin() {
    this.#applications += 1;
    this.#isClosed = false;
  }

  endAll() {
    this.#applications -= 1;
    this.#isClosed = this.#applications <= 0;
    for (const viewer of [...this.#open]) this.#remove(viewer);
  }

  #tick() {
    this.#sendAll();
    const due = Date.now() - RECHECK_MS;
    for (const viewer of this.#open) {
      if (viewer.checkedAt <= due) this.#recheck(viewer);
    }
  }

  #sendAll() {
    const data = this.#snapshot();
    for (const viewer of [...this.#open]) {
      if (pendingOf(viewer.res) > MOST_PENDING) this.#drop(viewer);
      else send(viewer, 'snapshot', data);
    }
  }

  #snapshot() {
    const since = Math.floor(native.clockNow() / 1000) - OVERLAP_S;
    return JSON.stringify({ ...this.#snapshots.take(), history: this.#snapshots.history(since) });
  }

  async #recheck(viewer) {
    viewer.checkedAt = Date.now();
    if ((await refusalOf(viewer.req, this.#authorize)) !== null) this.#remove(viewer);
  }

  /** A viewer that does not read: what waits for it is discarded. */
  #drop(viewer) {
    this.#remove(viewer);
    viewer.res.destroy();
  }

  #remove(viewer) {
    if (!this.#open.delete(viewer)) return;
    viewer.forget();
    viewer.res.end();
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Whether the client left, or was answered, while `authorize` was pending. */
function isGone(req, res) {
  return res.destroyed || res.closed || res.writableEnded || res.stream?.destroyed || req.socket?.destroyed;
}

/** JSON has no line breaks, which would end the field. */
function send({ res }, event, data) {
  res.write(`event: ${event}\ndata: ${data}\n\n`);
}

/** Bytes that wait to be sent. The response of HTTP/2 does not know them itself. */
function pendingOf(res) {
  return res.stream?.writableLength ?? res.writableLength;
}

module.exports = { Viewers };
