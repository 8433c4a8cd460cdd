// One server in a process of its own: told its name it tells its port, asked for it the processor time it has used.
import { answerWith } from '../child.mjs';
import { SERVERS } from './servers.mjs';

answerWith(async ({ open, redisPort }) => {
  if (open !== undefined) return (await SERVERS[open].open({ redisPort })).address().port;
  const { user, system } = process.cpuUsage();
  return user + system;
});
