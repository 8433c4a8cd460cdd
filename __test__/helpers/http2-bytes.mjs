// HTTP/2 frames as bytes, for clients that stop in the middle of a frame.

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const [DATA, HEADERS, SETTINGS, GOAWAY] = [0, 1, 4, 7];
const [END_STREAM, END_HEADERS] = [1, 4];
/** HPACK, from the static table: GET or POST, http, and the path "/"; then "a" as the authority. */
const HEAD = {
  GET: Buffer.from([0x82, 0x86, 0x84, 0x41, 1, 0x61]),
  POST: Buffer.from([0x83, 0x86, 0x84, 0x41, 1, 0x61]),
};

function frame(type, flags, stream, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const opening = Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), frame(SETTINGS, 1, 0)]);
export const getRequest = frame(HEADERS, END_STREAM | END_HEADERS, 1, HEAD.GET);
export const postHead = frame(HEADERS, END_HEADERS, 1, HEAD.POST);
export const postBody = frame(DATA, END_STREAM, 1, Buffer.from('body'));

/** What a server has sent: whether the status was 200, the text, and whether a GOAWAY frame arrived. */
export function readFrames(bytes) {
  const received = { isOk: false, text: '', isGoaway: false };
  for (let at = 0; at + 9 <= bytes.length; ) {
    const length = bytes.readUIntBE(at, 3);
    const payload = bytes.subarray(at + 9, at + 9 + length);
    const type = bytes[at + 3];
    // Entry 8 of the static table is `:status 200`.
    if (type === HEADERS) received.isOk = payload[0] === 0x88;
    if (type === DATA) received.text += payload;
    if (type === GOAWAY) received.isGoaway = true;
    at += 9 + length;
  }
  return received;
}
