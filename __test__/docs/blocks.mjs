/*
 * The programs in the pages. A comment in the line before a block says how it is run:
 *
 *   <!-- snippet: continues -->                    the block above comes first, in the same file
 *   <!-- snippet: request POST /login 200 429 -->  once it listens, it gets these requests, one for each status
 *                                                  (`401x10`: ten); after the path, headers as `name=value` and a
 *                                                  body as `{…}`
 *   <!-- snippet: as above -->                     it gets the requests of the program above, and prints the same
 *   <!-- snippet: prints 3 admitted -->            a line that it prints; `console.log(…); // 3` expects a line too
 *   <!-- snippet: stays -->                        it keeps running, and is ended once it has printed
 *   <!-- snippet: with jest -->                    it is a test file of jest, vitest or node:test
 *   <!-- snippet: fragment (why) -->               it is not run
 *
 * A block that begins with the comment `// worker.js` is that file, also for the other programs of its page. Where one of
 * them names it, and no comment says how it is run, it is not run by itself.
 */

const FENCE = /((?:^<!-- snippet: .+ -->\n)*)^```(js|ts|mjs|cjs|mts)\n([\s\S]*?)^```$/gm;
/** Blocks that would be left out by mistake, and what is wrong. */
const MISTAKES = [
  [/^[ \t>]+```(?:js|ts|[mc]js|mts)$/m, 'a block that begins with spaces is not run'],
  [/^```(?:javascript|typescript|jsx|tsx|cts|node)$/m, 'accepted: js, ts, mjs, cjs, mts'],
];
const RUNNERS = ['jest', 'vitest', 'node:test'];

/** All blocks of a page, in order: `{ line, language, text, file, kind, … }`, with `kind` 'program', 'file' or 'fragment'. */
export function blocksOf(page) {
  const blocks = [...page.matchAll(FENCE)].map((match, index) => ({
    index,
    line: page.slice(0, match.index + match[1].length).split('\n').length,
    language: match[2],
    ...directivesIn(match[1]),
    text: match[3],
    file: /^\/\/ ([\w./-]+\.[cm]?[jt]s)\b/.exec(match[3])?.[1],
  }));
  checkPage(page, blocks);
  for (const block of blocks) {
    const above = blocks[block.index - 1];
    if (block.continues) block.text = `${required(above, block).text}\n${block.text}`;
    if (block.asAbove) Object.assign(block, { requests: required(above, block).requests, above });
    block.prints.push(...printedBy(block.text));
  }
  return blocks.map((block) => ({ ...block, kind: kindOf(block, blocks) }));
}

function checkPage(page, blocks) {
  for (const [pattern, why] of MISTAKES) {
    const found = pattern.exec(page);
    if (found !== null) throw new Error(`${found[0]}: ${why}`);
  }
  const written = [...page.matchAll(/<!-- snippet:/g)].length;
  const read = blocks.reduce((sum, { directives }) => sum + directives, 0);
  if (written !== read) throw new Error(`${written - read} directives before no block`);
}

function required(above, { line }) {
  if (above === undefined) throw new Error(`line ${line}: there is no block above`);
  return above;
}

function kindOf(block, blocks) {
  if (block.fragment !== undefined) return 'fragment';
  const name = block.file?.split('/').at(-1);
  const isNamed = blocks.some((other) => other !== block && new RegExp(`['"/]${name}['"]`).test(other.text));
  return name !== undefined && isNamed && block.directives === 0 ? 'file' : 'program';
}

function directivesIn(comments) {
  const directives = [...comments.matchAll(/^<!-- snippet: (.+) -->$/gm)];
  const found = { directives: directives.length, requests: [], prints: [] };
  for (const [, what] of directives) readDirective(found, what);
  return found;
}

function readDirective(found, what) {
  const [, word, rest] = /^(\S+) ?(.*)$/.exec(what);
  if (what === 'continues') found.continues = true;
  else if (what === 'as above') found.asAbove = true;
  else if (what === 'stays') found.stays = true;
  else if (word === 'fragment' && /^\(.+\)$/.test(rest)) found.fragment = rest;
  else if (word === 'prints') found.prints.push(rest);
  else if (word === 'request') found.requests.push(requestOf(rest));
  else if (word === 'with' && RUNNERS.includes(rest)) found.runner = rest;
  else throw new Error(`unknown directive: ${what}`);
}

function requestOf(text) {
  const [, method, path, rest] = /^([A-Z]+) (\/\S*) ?(.*)$/.exec(text);
  const body = /\{.*\}/.exec(rest)?.[0];
  const words = rest
    .replace(body ?? '', '')
    .split(' ')
    .filter(Boolean);
  const headers = words.filter((word) => word.includes('=')).map((word) => word.split('='));
  const statuses = words.filter((word) => /^\d{3}(?:x\d+)?$/.test(word)).flatMap(statusesOf);
  if (statuses.length === 0) throw new Error(`no status: ${text}`);
  return { method, path, body, headers: Object.fromEntries(headers), statuses };
}

function statusesOf(word) {
  const [status, times = 1] = word.split('x').map(Number);
  return Array(times).fill(status);
}

/** What comments behind `console.log` say that it prints. */
function printedBy(text) {
  return [...text.matchAll(/^ *console\.log\(.*\); \/\/ (.+)$/gm)].map(([, printed]) => printed);
}

/** Whether Node.js has to read the text as an ES module. */
export function isModule(text) {
  return (
    /^(?:import|export)\b/m.test(text) || (/^[^/\s].*\bawait\b/m.test(text) && !text.includes('require('))
  );
}
