// One server in a separate process. `{ open: name }` starts it and returns its port; any other request returns the CPU
// time used so far.
import { answerWith } from '../child.mjs';
import { SERVERS } from './servers.mjs';
import { settle } from './settled.mjs';

answerWith(async ({ open, redisPort }) => {
  if (open !== undefined) {
    const server = await SERVERS[open].open({ redisPort });
    await settle();
    return server.address().port;
  }
  const { user, system } = process.cpuUsage();
  return user + system;
});
