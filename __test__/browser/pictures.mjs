// Takes the pictures of the docs: a shop whose clients behave, but for some.
import { once } from 'node:events';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { root } from '../../scripts/addon.mjs';
import { launch, openPage } from '../helpers/browser.mjs';
import { ask } from '../helpers/http.mjs';

const FOLDER = path.join(root, 'docs', 'images');
const MINUTE_MS = 60_000;
const OPTIONS = {
  rateLimit: { limit: 60, window: '1m' },
  connections: { max: 10_000 },
  reputation: { maxFailures: 5, findTime: '10m', banTime: '10m', maxBanTime: '1d' },
  monitor: {
    reputation: 'shop',
    rules: [{ name: 'password guessing', event: 'login-failed', count: 5, window: '10m', action: 'ban' }],
  },
};

let browser;
let workers;
let port;
const timers = [];

before(async () => {
  browser = await launch();
  const file = new URL('../helpers/dashboard-worker.mjs', import.meta.url);
  const workerData = { name: 'shop', options: OPTIONS, title: 'shop' };
  workers = Array.from({ length: 4 }, () => new Worker(file, { workerData }));
  const ports = await Promise.all(workers.map((worker) => once(worker, 'message').then(([one]) => one)));
  [port] = ports;
  fill();
});

after(async () => {
  for (const timer of timers) clearInterval(timer);
  await browser?.close();
  await Promise.all(workers.map((worker) => worker.terminate()));
});

function fill() {
  const guard = sluice.createGuard('shop', OPTIONS);
  const send = (from, rate) => {
    timers.push(setInterval(() => ask(port, { from }).catch(() => {}), 1000 / rate));
  };
  for (let client = 1; client <= 12; client++) send(`127.0.2.${client}`, 0.3 + client / 15);
  send('127.0.2.66', 8);
  send('127.0.2.67', 2);
  for (const user of ['anna', 'ben', 'carla', 'dora', 'emil'])
    guard.monitor.record('login-failed', '127.0.2.99', user);
  send('127.0.2.99', 1);
  guard.reputation.ban('198.51.100.0/24', { duration: '7d', reason: 'scanner' });
  const search = new sluice.RateLimiter('search', { limit: 10, window: '1s' });
  const tokens = ['token-9f8a7c6d', 'token-1a2b3c4d', 'token-5e6f7a8b'];
  let turn = 0;
  timers.push(
    setInterval(() => {
      for (let call = 0; call < 3; call++) search.tryConsume(tokens[turn % 3]);
      turn += 1;
    }, 200),
  );
  const breaker = new sluice.CircuitBreaker('upstream', { openFor: '1h', minimumCalls: 5 });
  for (let call = 0; call < 6; call++) breaker.tryAcquire('https://payments.example')?.failure();
  for (let call = 0; call < 40; call++) breaker.tryAcquire('https://stock.example').success();
}

test('pictures', { timeout: 4 * MINUTE_MS }, async (t) => {
  const url = `http://127.0.0.1:${port}/sluice/`;
  const { page } = await openPage(t, browser, url);
  await new Promise((resolve) => setTimeout(resolve, 1.5 * MINUTE_MS));
  const take = (name, one, options) => one.screenshot({ path: path.join(FOLDER, name), ...options });
  const size = { width: 1280, height: 1180 };
  await page.setViewportSize(size);
  await take('dashboard-light.png', page);
  await page.locator('section[aria-labelledby=offenders] button.link').first().click();
  await page.locator('dialog h3').first().waitFor();
  await take('dashboard-client.png', page.locator('dialog'));
  const dark = await openPage(t, browser, url, { viewport: size, colorScheme: 'dark' });
  await dark.page.locator('section[aria-labelledby=offenders] tbody tr').first().waitFor();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await take('dashboard-dark.png', dark.page);
  const phone = await openPage(t, browser, url, { viewport: { width: 390, height: 1200 } });
  await phone.page.locator('section[aria-labelledby=offenders] tbody tr').first().waitFor();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await take('dashboard-phone.png', phone.page);
});
