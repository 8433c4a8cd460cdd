// One server in a separate process. `{ open: name }` starts it and returns its port; any other request returns the CPU
// time used so far.
import { answerWith } from '../child.mjs';
import { SERVERS } from './servers.mjs';

answerWith(async ({ open, redisPort }) => {
  if (open !== undefined) return (await SERVERS[open].open({ redisPort })).address().port;
  const { user, system } = process.cpuUsage();
  return user + system;
});
