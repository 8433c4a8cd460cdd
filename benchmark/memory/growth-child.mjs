// Growth of a process in which one limiter gets to know this many clients.
import { answerWith } from '../child.mjs';
import { contender } from './contenders.mjs';

const MOST_BYTES = 8e9;
const CHUNK = 100_000;

answerWith(async ({ name, clients }) => {
  const { open, isAsync = false } = contender(name);
  // Make keys that are not kept first, so that most of the heap they need is not counted.
  for (let from = 0; from < 10 * CHUNK; from += CHUNK) knowAll((key) => key.length, from);
  // Its code is loaded and compiled before, too.
  const warm = await open(1000);
  if (isAsync) await warm(address(0));
  else warm(address(0));
  const before = settled();
  const know = await open(clients);
  for (let from = 0; from < clients; from += CHUNK) {
    if (isAsync) await knowAllAsync(know, from);
    else knowAll(know, from);
    if (process.memoryUsage.rss() > MOST_BYTES) throw new Error(`it needs over ${MOST_BYTES / 1e9} GB`);
  }
  return settled() - before;
});

function knowAll(know, from) {
  for (let client = from; client < from + CHUNK; client++) know(address(client));
}

async function knowAllAsync(know, from) {
  for (let client = from; client < from + CHUNK; client++) await know(address(client));
}

/** Distinct for each client, and as long as real addresses. */
function address(client) {
  return `203.${client >> 16}.${(client >> 8) & 255}.${client & 255}`;
}

/** Resident bytes after garbage collection. */
function settled() {
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage.rss();
}
