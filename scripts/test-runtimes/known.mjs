/*
 * What is known to fail, by runtime. An entry says what does not work, why (with the thread of upstream, null where none was
 * found), what to do instead, and which tests show it: names of files, with parts of the names of their tests, or [] for any.
 * `area` is a folder of tests, for what no failing test shows: its tests are skipped there. `isOfTest` marks what concerns
 * the test rather than sluice. Each named test must fail, so that the entry goes when it passes, except where `intermittent`
 * says what decides.
 */

/** Files that test the repository, or start other runtimes by themselves. They run in Node only. */
export const NODE_ONLY = new Set([
  'http/runtimes',
  'listen/runtimes',
  'metrics/docs',
  'metrics/rules',
  'runtime/docs',
  'runtime/failures',
  'runtime/loader',
  'runtime/names-in-docs',
  'runtime/package',
  'runtime/reference',
  'runtime/test-runtimes',
]);

const BUN = 'https://github.com/oven-sh/bun/';
const DENO = 'https://github.com/denoland/deno/';

const KNOWN = {
  bun: [
    {
      what: 'Caps and bans at accept, on servers that listen by themselves (`server.listen`, `app.listen`): a connection is counted, refused or served with its first request. One that sends nothing is not counted',
      why: "Bun's HTTP servers emit `'connection'` when they have read a request, with a socket that has no data",
      issue: `${BUN}pull/35661`,
      instead: 'open the server with `listen`, which accepts by a `net` server',
      tests: {
        'connection-tracker/attach': ['https: sockets over max'],
        'fleet/connections-servers': [
          'servers of two processes share the cap of a client at accept',
          'a socket waits for the server no longer than the timeout, and then onError decides',
        ],
        'guard/express': ['connections count from accept'],
        'guard/lost-address': ['a server of https drops connections without an address'],
        'nestjs/nestjs': ['connections are refused at accept'],
      },
    },
    {
      what: 'The answer to a refused upload that is still being sent may be lost: the connection is reset',
      why: 'Bun closes a connection with unread data after the answer',
      issue: `${BUN}pull/37889`,
      instead: '`listen`',
      tests: {
        'guard/refusal-uploads': [],
        'lifecycle/servers': ['a request whose body never arrives', 'upgraded sockets stay open'],
      },
    },
    {
      what: 'During a shutdown, kept-alive connections and incomplete requests are closed at once instead of getting a 503 or a 408',
      why: "Bun's `server.close()` destroys every connection without a request in flight, also one with an incomplete head",
      issue: `${BUN}pull/37889`,
      instead: '`listen`; requests in flight are completed in any case',
      tests: {
        'guard/refusal-headers': ['the 503 of a lifecycle'],
        'guard/shutdown': ['waits for requests in flight'],
        'lifecycle/health': [],
        'lifecycle/queue': [],
        'lifecycle/servers': [],
      },
    },
    {
      what: 'During a shutdown, connections of `tls` and HTTP/2 servers with an incomplete handshake or head are closed after 200 ms, as those that sent nothing, instead of after five seconds. Those of `https` servers stay open, and the shutdown takes its whole `timeout`',
      why: 'Bun reports no bytes for what its native code reads',
      issue: `${BUN}pull/42313`,
      area: 'lifecycle',
      tests: {},
    },
    {
      what: "`https` servers with `listen` are `ERR_SLUICE_UNSUPPORTED`; [listen](listen.md#bun-and-deno) has the alternative. In cluster workers, `'listening'` is not emitted, and without shared sockets each worker gets a port of its own",
      why: "Bun's HTTP servers ignore descriptors",
      issue: `${BUN}issues/22559`,
      tests: { 'listen/cluster': ['without shared sockets'] },
    },
    {
      what: '`backlog` of `listen` has no effect',
      why: 'Bun passes its own to the system when it listens on a descriptor',
      issue: `${BUN}pull/34659`,
      tests: { 'listen/listen': ['backlog bounds'] },
    },
    {
      what: '`resourceLimits` of `broker.spawn` is `ERR_SLUICE_UNSUPPORTED`',
      why: 'Bun ignores it: a worker whose heap grows takes the memory of the process',
      issue: `${BUN}issues/31411`,
      area: 'broker',
      tests: {},
    },
    {
      what: 'When the main thread calls `process.exit()`, the socket of `inspect()` in a worker thread stays as a file',
      why: 'Bun does not close what worker threads have open',
      issue: null,
      instead: 'nothing: the next process with `inspect()`, and `npx sluice`, remove it',
      tests: { 'inspection/inspection': ['a process that exits'] },
    },
    {
      isOfTest: true,
      what: 'leaks are counted by `v8.queryObjects`, which Bun does not have',
      tests: {
        'broker/ends': ['garbage collected'],
        'broker/handlers': ['leak nothing'],
      },
    },
    {
      isOfTest: true,
      what: 'texts of errors and stacks are those of V8, and `v8.serialize` has another limit',
      tests: {
        'broker/broker': ['an error of a handler arrives'],
        'broker/handlers': ['every kind of thenable'],
        'broker/payloads': ['the maximum string length'],
        'guard/fastify-hooks': ['too early'],
        'guard/http-listener': ['what the listener throws'],
        'runtime/carried-errors': ['keeps its class'],
      },
    },
    {
      isOfTest: true,
      what: "`bun test` fails on errors that the test expects to reach `'uncaughtException'`",
      issue: `${BUN}pull/34661`,
      tests: { 'runtime/user-functions-listeners': [] },
    },
    {
      isOfTest: true,
      what: 'the test starts a process with flags of Node',
      tests: { 'cli/commands': ['known by its number'] },
    },
    {
      isOfTest: true,
      what: 'the test replaces `Module._resolveFilename`, which Bun does not have',
      tests: { 'stores/rate-limiter-flexible-names': ['that is not installed'] },
    },
    {
      isOfTest: true,
      what: 'the test takes longer than its limit',
      intermittent: 'how busy the machine is',
      tests: { 'broker/storm': [], 'runtime/thread-end': [] },
    },
  ],
  deno: [
    {
      what: 'During a shutdown, connections in the listen queue are reset instead of answered',
      why: 'Deno shows no descriptor of a listening socket, so its queue cannot be accepted before it is closed',
      issue: null,
      instead: 'give `shutdown` a `delay`, so that a balancer stops sending before the port closes',
      tests: { 'lifecycle/queue': [] },
    },
    {
      what: 'During a shutdown, the begin of a second head that was read together with the first request is closed without an answer',
      why: "Deno's `closeIdleConnections` takes a connection that has answered a request for idle, also while it receives the next",
      issue: `${DENO}pull/36749`,
      tests: { 'lifecycle/heads': ['a partially received head is waited for'] },
    },
    {
      what: 'During a shutdown, an `https` connection whose refused request has a body may stay open after its answer, until `timeout`, and counts as forced',
      why: 'Deno may not finish an answer over TLS that ends after its client has closed',
      issue: null,
      area: 'lifecycle',
      tests: {},
    },
    {
      what: '`stackSizeMb` in `resourceLimits` of `broker.spawn` is `ERR_SLUICE_UNSUPPORTED`',
      why: 'Deno gives the thread a stack of that size and V8 another limit: a small stack that is exceeded aborts the process',
      issue: `${DENO}pull/36114`,
      area: 'broker',
      tests: {},
    },
    {
      what: "A thread that is terminated may run a little after its `'exit'`. What it sends then is ignored; capacity that it reserves then for calls stays reserved. Its references to JavaScript objects are not deleted",
      why: 'Deno reports the end before the thread has ended, and does not run the clean-up hook of a terminated worker. The thread that started it reports its end instead',
      issue: `${DENO}pull/35657`,
      instead: 'let workers end by `group.close()` or `restart()`',
      intermittent: 'how soon the thread ends',
      tests: {
        'broker/storm': [],
        'broker/workers': ['with workers of its own'],
        'reputation/threads': ['terminated threads leave'],
        'runtime/thread-references': [],
      },
    },
    {
      what: 'An answer that arrived in time can still time out if its thread was busy past the deadline',
      why: 'Deno may run due timers before it delivers what other threads have sent',
      issue: null,
      tests: { 'broker/ends': ['busy past the deadline'] },
    },
    {
      what: 'Cluster workers share their port, but cannot start threads',
      why: 'Deno takes such a thread for a cluster worker, and its start fails with an error',
      issue: null,
      tests: { 'listen/cluster': [] },
    },
    {
      what: 'When the main thread calls `process.exit()`, the socket of `inspect()` in a worker thread stays as a file',
      why: 'Deno does not close what worker threads have open',
      issue: null,
      instead: 'nothing: the next process with `inspect()`, and `npx sluice`, remove it',
      tests: { 'inspection/inspection': ['a process that exits'] },
    },
    {
      isOfTest: true,
      what: 'a child process that handles a signal, and exits by itself, is reported as ended by the signal',
      tests: { 'cli/top': ['Ctrl-C ends it', 'it goes on with the next'] },
    },
    {
      isOfTest: true,
      what: 'the test starts a process with flags of Node',
      tests: {
        'cli/commands': ['known by its number'],
        'runtime/instances': ['only workers load the addon'],
        'runtime/memory': ['exceeds the address space'],
      },
    },
    {
      isOfTest: true,
      what: 'client and server share a thread, and the client of Deno reads that the connection was reset before it reads the answer. A client in another process reads the answer',
      tests: { 'guard/refusal-uploads': ['at most bytes are read'] },
    },
    {
      isOfTest: true,
      what: 'the test takes longer than its limit',
      intermittent: 'how busy the machine is',
      tests: { 'runtime/thread-end': [] },
    },
    {
      isOfTest: true,
      what: 'a client that connects while a port closes gets `ECONNRESET` instead of `ECONNREFUSED`',
      intermittent: 'when the port closes',
      tests: {
        'guard/shutdown': ['waits for requests in flight'],
        'listen/listen': ['is terminated with a request in flight'],
      },
    },
  ],
};

/** The entries of a runtime; none for Node. */
export function entriesOf(key) {
  return KNOWN[key] ?? [];
}

/** Whether one of the entries has the failure. That a file did not run at all, or did not end, is never known. */
export function isKnown(entries, file, test) {
  if (test.startsWith('(the ')) return false;
  return entries.some(({ tests: { [file]: parts } }) => {
    return parts !== undefined && (parts.length === 0 || parts.some((part) => test.includes(part)));
  });
}
