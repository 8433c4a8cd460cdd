// A process of a test: runs the functions that it is sent, until its channel is closed.
'use strict';

const local = { load: () => require('../../index.js'), require, state: {} };

process.on('message', async ({ id, body, data }) => {
  try {
    const run = new Function(`return (${body})`)();
    process.send({ id, value: await run(local, data) });
  } catch ({ message, code, name }) {
    process.send({ id, error: { message, code, name } });
  }
});
