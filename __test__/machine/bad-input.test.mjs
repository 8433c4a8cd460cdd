// What a scope of the machine refuses: each by its own code, in a sentence that names the file or the directory.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import sluice from '../../index.js';
import { filesIn, onLinux, sharedDirectory, startProcesses } from '../helpers/machine.mjs';
import { freshName } from '../helpers/peer.mjs';

const { RateLimiter, createGuard } = sluice;

const TMPFS = 0x01021994;
/** Where the header of a file has the version of its layout. */
const VERSION_AT = 8;

const isRoot = process.getuid?.() === 0;
const asRoot = { skip: onLinux.skip || (!isRoot && 'only root can make what it is about') };

const optionsFor = (directory, options) => ({
  limit: 5,
  window: '1h',
  maxKeys: 1000,
  ...options,
  scope: { shared: directory },
});

/** Opens a limiter, which has to be refused; `named` is what the error names. */
function refused(directory, code, message, { name = freshName(), named = directory, options } = {}) {
  assert.throws(
    () => new RateLimiter(name, optionsFor(directory, options)),
    (error) => {
      assert.equal(error.name, 'SluiceError');
      assert.equal(error.code, `ERR_SLUICE_${code}`, error.message);
      assert.match(error.message, message);
      assert.ok(error.message.includes(named), error.message);
      return true;
    },
  );
  // After an error the state is as before: nothing of that name exists.
  assert.throws(() => new RateLimiter(name), { code: 'ERR_SLUICE_NOT_FOUND' });
}

/** A file in a directory of its own, as a limiter leaves it that has ended. */
async function fileOf(t, name) {
  const directory = sharedDirectory(t);
  const [other] = startProcesses(t, 1);
  await other.run(
    ({ load }, [name, options]) => {
      new (load().RateLimiter)(name, options).tryConsume('a');
    },
    [name, optionsFor(directory)],
  );
  await other.end();
  return { directory, file: path.join(directory, filesIn(directory)[0]) };
}

test('a scope is checked before anything is opened', onLinux, () => {
  const open = (scope) => () => new RateLimiter(freshName(), { limit: 1, window: '1s', scope });
  for (const shared of ['', 'a\0b', 7, false, null, {}]) {
    assert.throws(open({ shared }), { code: 'ERR_SLUICE_INVALID_OPTION', message: /scope shared is/ });
  }
  assert.throws(open({ shared: undefined }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /scope shared is undefined/,
  });
  assert.throws(open({ shared: true, onMismatch: 'ignore' }), { code: 'ERR_SLUICE_INVALID_OPTION' });
  assert.throws(open({ shared: true, redis: 'redis://localhost' }), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /has no option "redis"/,
  });
  assert.throws(open('shared'), {
    code: 'ERR_SLUICE_INVALID_OPTION',
    message: /\{ shared: true \| "directory"/,
  });
});

test('a directory is made, but not the folders above it', onLinux, (t) => {
  const parent = sharedDirectory(t);
  const directory = `${parent}/made`;
  const name = freshName();
  t.after(() => RateLimiter.destroy(name));
  assert.ok(new RateLimiter(name, optionsFor(directory)).tryConsume('a'));
  refused(`${parent}/a/b`, 'SCOPE_UNAVAILABLE', /mkdir failed: No such file or directory/);
});

test('a directory of another user', asRoot, (t) => {
  const directory = sharedDirectory(t);
  chownSync(directory, 12_345, 12_345);
  refused(directory, 'SCOPE_UNAVAILABLE', /it belongs to the user 12345; accepted: a directory of this user/);
});

test('a directory that others may write', onLinux, (t) => {
  for (const mode of [0o777, 0o720, 0o702]) {
    const directory = sharedDirectory(t);
    chmodSync(directory, mode);
    refused(directory, 'SCOPE_UNAVAILABLE', /other users may write it \(mode 7/);
  }
});

test('a directory on a disk', onLinux, (t) => {
  const directory = mkdtempSync('/var/tmp/sluice-test-');
  t.after(() => rmSync(directory, { recursive: true }));
  if (statfsSync(directory).type === TMPFS) return t.skip('/var/tmp is in memory here');
  refused(
    directory,
    'SCOPE_UNAVAILABLE',
    /on a disk or a network drive; accepted: a directory in memory \(tmpfs\)/,
  );
});

test('a file, or a symbolic link, in place of the directory', onLinux, (t) => {
  const parent = sharedDirectory(t);
  writeFileSync(`${parent}/file`, '');
  mkdirSync(`${parent}/real`);
  symlinkSync(`${parent}/real`, `${parent}/link`);
  refused(`${parent}/file`, 'SCOPE_UNAVAILABLE', /it is no directory, or a symbolic link/);
  refused(`${parent}/link`, 'SCOPE_UNAVAILABLE', /it is no directory, or a symbolic link/);
});

test('a file system without room', asRoot, (t) => {
  const directory = mkdtempSync('/var/tmp/sluice-test-');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', directory], { stdio: 'pipe' });
  } catch {
    rmdirSync(directory);
    return t.skip('file systems cannot be mounted here');
  }
  t.after(() => {
    execFileSync('umount', ['--lazy', directory]);
    rmdirSync(directory);
  });
  const options = { maxKeys: 1_000_000 };
  refused(directory, 'SCOPE_UNAVAILABLE', /it has no room for \d+ bytes; accepted: a smaller maxKeys/, {
    options,
  });
  assert.deepEqual(filesIn(directory), [], 'nothing is left over');
  const name = freshName();
  t.after(() => RateLimiter.destroy(name));
  assert.ok(new RateLimiter(name, optionsFor(directory)).tryConsume('a'), 'what fits is made');
});

test('a memory limit below the size', asRoot, (t) => {
  const group = `/sys/fs/cgroup/sluice-test-${process.pid}`;
  if (!existsSync('/sys/fs/cgroup/cgroup.controllers')) return t.skip('control groups are of version 1');
  try {
    mkdirSync(group);
    t.after(() => rmSync(group, { recursive: true }));
    writeFileSync(`${group}/memory.max`, String(60 << 20));
  } catch {
    return t.skip('control groups cannot be made here');
  }
  const program = `
    require('node:fs').writeFileSync('${group}/cgroup.procs', String(process.pid));
    const { RateLimiter } = require(${JSON.stringify(path.resolve('index.js'))});
    try {
      new RateLimiter('big', ${JSON.stringify(optionsFor(sharedDirectory(t), { maxKeys: 2_000_000 }))});
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }));
    }`;
  const { code, message } = JSON.parse(execFileSync(process.execPath, ['-e', program]).toString());
  assert.match(code, /^ERR_SLUICE_(SCOPE_UNAVAILABLE|INVALID_OPTION)$/);
  assert.match(message, /memory|bytes/);
});

/** In a namespace of its own, where the root of all control groups has the limit: no group has to be made for it. */
test('a control group that has less left than the state takes', asRoot, (t) => {
  const groups = '/sys/fs/cgroup';
  if (!/^0::/m.test(readFileSync('/proc/self/cgroup', 'utf8')))
    return t.skip('no control group of version 2');
  const open = (maxKeys, names) => `
    try {
      const options = ${JSON.stringify(optionsFor(sharedDirectory(t), { maxKeys }))};
      console.log(JSON.stringify(new RateLimiter('${names}', options).tryConsume('a')));
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }));
    }`;
  const program = `
    const { RateLimiter } = require(${JSON.stringify(path.resolve('index.js'))});
    ${open(100_000, 'big')}
    ${open(1_000, 'small')}`;
  // Of the 3 MB that are used, 1 MB is of files on a disk, which the kernel drops.
  const script = `mount -t tmpfs tmpfs ${groups} && cd ${groups} && echo 5000000 > memory.max && echo 3000000 > memory.current &&
    echo 'inactive_file 1000000' > memory.stat && cd - > /dev/null && exec "$@"`;
  let printed;
  try {
    const command = [process.execPath, '-e', program];
    printed = execFileSync('unshare', ['--mount', 'sh', '-c', script, 'sh', ...command], { stdio: 'pipe' });
  } catch {
    return t.skip('file systems cannot be mounted here');
  }
  const [big, small] = printed.toString().trim().split('\n').map(JSON.parse);
  assert.equal(big.code, 'ERR_SLUICE_SCOPE_UNAVAILABLE', big.message);
  assert.match(
    big.message,
    /the state takes \d+ bytes, and the control group has 3000000 left; accepted: a smaller maxKeys/,
  );
  assert.equal(small, true, 'what fits is made');
});

test('the sixty-fifth process', onLinux, async (t) => {
  const directory = sharedDirectory(t);
  const name = freshName();
  const options = optionsFor(directory);
  const open = ({ load, state }, [name, options]) => {
    state.limiter = new (load().RateLimiter)(name, options);
    return state.limiter.stats().processes;
  };
  const [last, ...peers] = startProcesses(t, 64);
  // One after the other, so that none is refused as another one looks whether it is alone.
  for (const peer of peers) await peer.run(open, [name, options]);
  t.after(() => RateLimiter.destroy(name));
  assert.equal(new RateLimiter(name, options).stats().processes, 64);
  await assert.rejects(last.run(open, [name, options]), ({ code, message }) => {
    assert.equal(code, 'ERR_SLUICE_SCOPE_UNAVAILABLE', message);
    assert.match(message, /64 processes are attached; accepted: that many processes at once/);
    return message.includes(directory);
  });
  await peers[40].kill();
  assert.equal(await last.run(open, [name, options]), 64, 'in the place of one that was killed');
});

test('a file of another layout', onLinux, async (t) => {
  const name = freshName();
  const { directory, file } = await fileOf(t, name);
  const bytes = readFileSync(file);
  bytes.writeUInt32LE(7, VERSION_AT);
  writeFileSync(file, bytes);
  refused(directory, 'UNSUPPORTED_VERSION', /has version 7 of its layout; accepted: version 2/, {
    name,
    named: file,
  });
});

test('a file that was cut short, extended or changed', onLinux, async (t) => {
  const name = freshName();
  const { directory, file } = await fileOf(t, name);
  const { length } = readFileSync(file);
  for (const size of [0, 100, length - 1, length + 1]) {
    truncateSync(file, size);
    refused(directory, 'CORRUPT_FILE', /is corrupt: /, { name, named: file });
  }
  writeFileSync(file, Buffer.alloc(length, 0x5a));
  refused(directory, 'CORRUPT_FILE', /does not begin as one/, { name, named: file });
  assert.equal(readFileSync(file).length, length, 'it is left where it is');
});

test('a file that others may open', onLinux, async (t) => {
  const name = freshName();
  const { directory, file } = await fileOf(t, name);
  chmodSync(file, 0o644);
  refused(directory, 'SCOPE_UNAVAILABLE', /a file of this user that no other may open/, {
    name,
    named: file,
  });
});

test('something else in place of the file', onLinux, async (t) => {
  const name = freshName();
  const { directory, file } = await fileOf(t, name);
  copyFileSync(file, `${directory}/copy`);
  rmSync(file);
  symlinkSync(`${directory}/copy`, file);
  refused(directory, 'CORRUPT_FILE', /it is a symbolic link/, { name, named: file });
  rmSync(file);
  mkdirSync(file);
  refused(directory, 'CORRUPT_FILE', /it is no regular file/, { name, named: file });
});

test('a file of another instance, which processes use', onLinux, async (t) => {
  const [name, other] = [freshName(), freshName()];
  const { directory, file } = await fileOf(t, name);
  const [user] = startProcesses(t, 1);
  await user.run(
    ({ load, state }, [name, options]) => {
      state.limiter = new (load().RateLimiter)(name, options);
    },
    [other, optionsFor(directory)],
  );
  rmSync(file);
  linkSync(path.join(directory, filesIn(directory)[0]), file);
  refused(directory, 'CORRUPT_FILE', new RegExp(`it holds RateLimiter "${other}"`), { name, named: file });
});

test('options that differ while a process is attached', onLinux, async (t) => {
  const name = freshName();
  const directory = sharedDirectory(t);
  const [user] = startProcesses(t, 1);
  await user.run(
    ({ load, state }, [name, options]) => {
      state.limiter = new (load().RateLimiter)(name, options);
    },
    [name, optionsFor(directory)],
  );
  const [file] = filesIn(directory);
  const named = path.join(directory, file);
  refused(directory, 'CONFIG_MISMATCH', /limit = 5, and processes use it; given: 6/, {
    name,
    named,
    options: { limit: 6 },
  });
  refused(directory, 'CONFIG_MISMATCH', /maxKeys = 1000/, { name, named, options: { maxKeys: 2000 } });
  const rolling = {
    ...optionsFor(directory, { maxKeys: 2000 }),
    scope: { shared: directory, onMismatch: 'reconfigure' },
  };
  assert.throws(() => new RateLimiter(name, rolling), {
    code: 'ERR_SLUICE_CONFIG_MISMATCH',
    message: /maxKeys = 1000, and processes use it; given: 2000, which is fixed at creation/,
  });
});

test('a scope of the guard beside a part that is not shared', onLinux, (t) => {
  const scope = { shared: sharedDirectory(t) };
  const rateLimit = { limit: 1, window: '1s' };
  assert.throws(() => createGuard(freshName(), { rateLimit, scope, concurrency: { max: 5 } }), {
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /scope together with concurrency/,
  });
});

test('requests do not wait for a limiter that processes share', onLinux, (t) => {
  const rateLimit = { limit: 1, window: '1s', scope: { shared: sharedDirectory(t) } };
  assert.throws(() => createGuard(freshName(), { rateLimit, wait: '1s' }), {
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /has the scope \{ shared \}/,
  });
});

test('other systems', { skip: process.platform === 'linux' && 'this is Linux' }, () => {
  assert.throws(() => new RateLimiter(freshName(), { limit: 1, window: '1s', scope: { shared: true } }), {
    code: 'ERR_SLUICE_UNSUPPORTED',
    message: /on Linux only/,
  });
});
