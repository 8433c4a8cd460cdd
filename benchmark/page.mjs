// docs/benchmarks.md, written by the run whose numbers it holds.
import { writeFileSync } from 'node:fs';

export function writePage({ machine, noise, sections, losses, skipped }) {
  const facts = Object.entries(machine).map(([what, value]) => `| ${what} | ${value} |`);
  const page = `# Benchmarks

What one call costs in JavaScript, beside what others cost in the same run. This page is written by

\`\`\`sh
npm run bench -- --write
\`\`\`

| | |
|---|---|
${facts.join('\n')}
| noise | ${noise} |

## How to read it

- **Compare ratios, not nanoseconds.** Machines differ, and so do two runs on a shared one. Each round times every
  call once, for about 4 ms, in another order; *ns* is the median over the rounds, *× tryConsume* the median of the
  quotients within a round, *spread* half of the distance between the quartiles.
- *spread* is that of one process. From run to run, rows of many keys moved by up to 1.4 ×, and shared rows of several
  threads by up to 3 ×, on the machine these sentences were written on: where memory and threads come to lie matters.
- All limits are so wide that every call passes, except where a row says *refused*. All clients are known before the
  clock starts. Each row makes sure that its calls were answered as it says.
- Keys are made beforehand, so a \`Map\` finds the hash of each string ready; in a server, where each request brings
  a new string, it hashes first. sluice reads and hashes the key in every call.
- **What answers with a promise is awaited, one call at a time**, as middleware does; the time holds its promises and
  turns of the queue of microtasks.
- \`RateLimiterMemory.consume\` and \`MemoryStore.increment\` tell more than yes or no: compare them with \`consume\` too.
- \`@hyperlimit/core\` wants a limiter made for each key before its first request; that is not timed.
- The rows *floor* decide nothing. \`hashKey\` reads a string, hashes it and leaves two numbers; \`registryVersion\`
  takes a number and gives one; \`clockNow\` reads the clock. This is what a native call of ours costs at the least.
- Only sluice's rows share anything between threads. With several threads, all call at once on the same keys;
  the \`Map\` of each thread is its own and shows what this machine gives to threads that share nothing.

## Results

${sections.join('\n\n')}
${skipped.map((sentence) => `\n${sentence}\n`).join('')}
${losses}

The rules for this list are the same in every run (\`benchmark/losses.mjs\`): a call of ours that costs over 5 % more
than one of others with the same task, under the same load, with one thread or with all; and a call of ours that
costs a thread over 5 % more when others make it too. Two threads that share nothing can lose that way as well: see
the rows of the \`Map\`.

The engine alone, without Node.js: \`npm run bench:core\`.
`;
  writeFileSync(new URL('../docs/benchmarks.md', import.meta.url), page);
}
