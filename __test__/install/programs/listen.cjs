// One port for all threads, where the platform can do it. Prints what came of it.
const http = require('node:http');
const { listen } = require('sluice');

const server = http.createServer();
listen(server, { port: 0, host: '127.0.0.1' }).then(
  () => {
    console.log('listening');
    server.close();
  },
  ({ code }) => console.log(code),
);
