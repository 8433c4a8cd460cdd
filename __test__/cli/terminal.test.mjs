// What reaches the terminal: keys and details that clients choose are never more than text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import text from '../../lib/cli/text.js';
import { sluice, startServer } from '../helpers/inspected.mjs';

const skip = process.platform === 'win32' && 'sockets are named pipes there';

/** Clears the screen, sets the title, types a command, goes back, changes the direction. */
const ATTACK = '\u001b[2J\u001b]0;owned\u0007\u009b31m\r\n\b\u202eevil\u2066\u200b\u2028';
/** All that a terminal obeys, and a reader cannot see. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/;

test('an attack in a key, a detail, a name and a reason stays text', { skip }, async (t) => {
  const server = await startServer(t);
  await server.run(0, attacked, ATTACK);
  const json = await sluice(['inspect', '--json'], server);
  const { offenders } = JSON.parse(json.stdout);
  assert.ok(
    offenders.some(({ client }) => client === ATTACK),
    'JSON gives back what it was',
  );
  const commands = [
    ['inspect'],
    ['inspect', '--json'],
    ['inspect', '--list'],
    ['inspect', '--client', ATTACK],
    ['inspect', '--client', ATTACK, '--json'],
    ['inspect', '--client', '203.0.113.9'],
    ['top'],
    ['top', '--json', '--count', '1'],
    ['ban', ATTACK],
    ['ban', '203.0.113.8', '--in', ATTACK],
    ['block', ATTACK, '--in', `limiter ${ATTACK}`],
    ['reset', ATTACK],
    [ATTACK],
    ['inspect', ATTACK],
    ['inspect', `--${ATTACK}`],
  ];
  for (const args of commands) {
    const { stdout, stderr } = await sluice(args, server);
    for (const output of [stdout, stderr]) {
      assert.doesNotMatch(output, OBEYED, `${JSON.stringify(args)}: ${JSON.stringify(output)}`);
    }
  }
  const { stdout } = await sluice(['inspect'], server);
  assert.ok(
    stdout.includes('\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31m\\u{d}\\u{a}\\u{8}\\u{202e}evil'),
    stdout,
  );
});

async function attacked({ load, state }, attack) {
  const { CircuitBreaker, RateLimiter, SecurityMonitor, inspect } = load();
  const { reputation } = state.guard;
  state.inspection = inspect({ actions: true, showKey: (key) => key, title: `t${attack}` });
  const limiter = new RateLimiter(`limiter ${attack}`, { limit: 1, window: '1h' });
  for (let call = 0; call < 3; call++) limiter.tryConsume(attack);
  reputation.ban('203.0.113.9', { duration: '1h', reason: attack });
  const monitor = new SecurityMonitor('monitor', { rules: [] });
  monitor.record('login-failed', '203.0.113.9', attack);
  new CircuitBreaker('breaker', { openFor: '1h' }).isolate(attack);
  await state.inspection.ready();
}

test('keys are shown through showKey, by default shortened', { skip }, async (t) => {
  const server = await startServer(t, { options: {} });
  await server.run(0, ({ state }) => {
    for (let call = 0; call < 20; call++) state.guard.limiter.tryConsume('token-very-secret');
  });
  for (const args of [['inspect'], ['inspect', '--json'], ['top']]) {
    const { stdout } = await sluice(args, server);
    assert.match(stdout, /token-…[0-9a-f]{6}/);
    assert.doesNotMatch(stdout, /very-secret/);
  }
});

test('widths count columns, and what does not fit ends with an ellipsis', () => {
  assert.equal(text.widthOf('ab日本'), 6);
  assert.equal(text.widthOf('e\u0301'), 1);
  assert.equal(text.fitted('日本語', 4), '日…');
  assert.equal(text.fitted('abc', 3), 'abc');
  assert.equal(text.fitted('abcd', 3), 'ab…');
  assert.equal(text.padded('日', 4, true), '  日');
  assert.equal(text.printable('\ud800a\u0000'), '\\u{d800}a\\u{0}');
  assert.equal([...text.printable('x'.repeat(1_000))].length, 301);
  const value = { key: 'a\u009b\u202e\u007f\u001b"' };
  assert.doesNotMatch(text.printableJson(value), OBEYED);
  assert.deepEqual(JSON.parse(text.printableJson(value)), value);
});
