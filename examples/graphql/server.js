'use strict';

// One worker thread: GraphQL on node:http. An operation is charged before it runs, by what it asks for.

const http = require('node:http');
const { parentPort } = require('node:worker_threads');
const { buildSchema, execute, parse, validate } = require('graphql');
const { createGuard, listen } = require('sluice');
const { costOf } = require('./cost');

const schema = buildSchema(`
  type Query { author(name: String): Author, authors(first: Int = 10): [Author] }
  type Author { name: String, posts(first: Int = 10): [Post] }
  type Post { title: String }
`);

const guard = createGuard('graphql', {
  rateLimit: { limit: 1_000, window: '1m', algorithm: 'fixed-window' },
  cost: ({ operation }) => operation.cost,
});

const author = { name: 'ada', posts: ({ first }) => Array(first).fill({ title: 'On engines' }) };
const rootValue = { author: () => author, authors: ({ first }) => Array(first).fill(author) };

/** The operation of a request that is valid, or its errors. */
async function readOperation(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  try {
    const { query, variables } = JSON.parse(Buffer.concat(chunks).toString());
    const document = parse(query, { maxTokens: 1_000 });
    const errors = validate(schema, document);
    return {
      document,
      variables,
      errors,
      cost: errors.length > 0 ? 1 : costOf(schema, document, variables) || 1,
    };
  } catch ({ message }) {
    return { errors: [{ message }] };
  }
}

const server = http.createServer(async (req, res) => {
  req.operation = await readOperation(req);
  const { document, variables, errors } = req.operation;
  if (errors.length > 0) return res.writeHead(400).end(JSON.stringify({ errors }));
  const decision = await guard.check(req, res);
  if (!decision.allowed) return res.writeHead(decision.status, decision.headers).end(decision.body);
  const result = await execute({ schema, document, rootValue, variableValues: variables });
  res.writeHead(200, decision.headers).end(JSON.stringify(result));
});

listen(server, { port: 0, host: '127.0.0.1' }).then((address) => parentPort.postMessage(address));
