// What the system says of this process: its threads, and its descriptors. Linux only.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** For tests that ask it. */
export const listed = { skip: process.platform === 'linux' ? undefined : 'is listed on Linux only' };

/** What `read` returns of each entry of a folder of `/proc/self`. An entry that is gone meanwhile is left out. */
function each(folder, read) {
  return readdirSync(`/proc/self/${folder}`).flatMap((entry) => {
    try {
      return [read(`/proc/self/${folder}/${entry}`)];
    } catch {
      return [];
    }
  });
}

/** How many threads of this process have this name. */
export const threadsNamed = (name) =>
  each('task', (task) => readFileSync(`${task}/comm`, 'utf8').trim()).filter((found) => found === name)
    .length;

/** The sockets of this process, once for each descriptor. */
export const sockets = () =>
  each('fd', (fd) => readlinkSync(fd)).filter((file) => file.startsWith('socket:'));
