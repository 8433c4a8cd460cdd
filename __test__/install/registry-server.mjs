// The process of the registry: serves on a free port of loopback, and sends the port to its parent.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { runServer } = createRequire(new URL('tools/package.json', import.meta.url))('verdaccio');
const { storage, upstream, ca } = JSON.parse(process.argv[2]);

const everyone = { access: '$all', publish: '$all' };
const app = await runServer({
  storage,
  self_path: storage,
  uplinks: { upstream: { url: upstream, timeout: '60s', ...(ca && { ca: readFileSync(ca, 'utf8') }) } },
  packages: {
    // Never from elsewhere: another package has the name there.
    sluice: everyone,
    'sluice-*': everyone,
    '**': { access: '$all', proxy: 'upstream' },
  },
  web: { enable: false },
  max_body_size: '50mb',
  log: { type: 'stdout', format: 'pretty', level: 'fatal' },
});
const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port));
process.on('disconnect', () => process.exit());
