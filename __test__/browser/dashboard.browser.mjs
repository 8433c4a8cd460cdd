// The dashboard's page in Chromium, before four threads.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import sluice from '../../index.js';
import { launch, openPage } from '../helpers/browser.mjs';
import { ask } from '../helpers/http.mjs';

const NAME = 'shop';
const ATTACK = '<img src=x onerror="alert(1)"><script>alert(2)</script>';
const WORST = '127.0.0.66';
const TARGET = `https://peer.example/${ATTACK}`;

const OPTIONS = {
  rateLimit: { limit: 5, window: '1h' },
  connections: { max: 1_000 },
  reputation: { maxFailures: 100, findTime: '1h', banTime: '1h', maxBanTime: '1d' },
  monitor: {
    rules: [{ name: `rule ${ATTACK}`, event: 'login-failed', count: 2, window: '1h', action: 'alert' }],
  },
};

let browser;
let workers;
let port;
let url;
let guard;
let breaker;

before(async () => {
  browser = await launch();
  const workerData = { name: NAME, options: OPTIONS, title: `Shop ${ATTACK}` };
  const file = new URL('../helpers/dashboard-worker.mjs', import.meta.url);
  workers = Array.from({ length: 4 }, () => new Worker(file, { workerData }));
  const ports = await Promise.all(workers.map((worker) => once(worker, 'message').then(([one]) => one)));
  assert.equal(new Set(ports).size, 1);
  [port] = ports;
  url = `http://127.0.0.1:${port}/sluice/`;
  guard = sluice.createGuard(NAME, OPTIONS);
  breaker = new sluice.CircuitBreaker('upstream', { openFor: '1h', minimumCalls: 1 });
  breaker.tryAcquire(TARGET).failure();
});

after(async () => {
  await browser?.close();
  await Promise.all(workers?.map((worker) => worker.terminate()) ?? []);
});

/** Uses up the quota of a client, and goes beyond it. */
async function exceed(client, calls = 10) {
  const answers = await Promise.all(Array.from({ length: calls }, () => ask(port, { from: client })));
  return answers.filter(({ status }) => status === 429).length;
}

const row = (page, id, client) =>
  page.locator(`section[aria-labelledby=${id}] tbody tr`).filter({ hasText: client }).first();

const confirm = (page, name) =>
  page.locator('dialog form').getByRole('button', { name, exact: true }).click();

test('an operator finds the worst offender, sees why, and lets it in', async (t) => {
  assert.equal(await exceed('127.0.0.61', 7), 2);
  assert.equal(await exceed(WORST, 60), 55);
  const { page, faults } = await openPage(t, browser, url);
  const first = page.locator('section[aria-labelledby=offenders] tbody tr').first();
  await first
    .filter({ hasText: WORST })
    .filter({ hasText: 'over quota' })
    .filter({ hasText: '55' })
    .waitFor();
  await row(page, 'offenders', WORST).getByRole('button', { name: WORST }).click();
  await page.getByText('Refused by the limiter “shop” (5 per 1 h): 0 of 5 left').waitFor();
  await page.locator('dialog').getByRole('button', { name: 'Let in' }).click();
  await confirm(page, 'Let in');
  await page.getByText('It is let in: nothing holds it back now.').waitFor();
  assert.equal((await ask(port, { from: WORST })).status, 200);
  await page.keyboard.press('Escape');
  await page.locator('.events').getByText('reset in "shop", by ada').first().waitFor();
  assert.deepEqual(faults, []);
});

/** Has the page keep, of each snapshot that it gets, when that was taken and the offenders that it showed before. */
function keepShown() {
  window.shown = [];
  const { addEventListener } = EventSource.prototype;
  EventSource.prototype.addEventListener = function (name, listener) {
    addEventListener.call(this, name, (event) => {
      const offenders = document.querySelector('section[aria-labelledby=offenders]')?.textContent;
      if (name === 'snapshot') window.shown.push({ at: JSON.parse(event.data).at, offenders });
      listener(event);
    });
  };
}

// A snapshot is taken each second. A bound in seconds would measure the machine as well.
test('traffic is on the page within two snapshots, whichever thread served it', async (t) => {
  const { page, faults } = await openPage(t, browser, url);
  await page.addInitScript(keepShown);
  await page.reload();
  await page.getByText('Live', { exact: true }).waitFor();
  const client = '127.0.0.62';
  await exceed(client, 20);
  const since = Date.now();
  const shown = async () => (await page.evaluate(() => window.shown)).filter(({ at }) => at > since);
  await page.waitForFunction((of) => window.shown.filter(({ at }) => at > of).length >= 2, since);
  const [, second] = await shown();
  assert.ok(second.offenders.includes(client), second.offenders);
  assert.deepEqual(faults, []);
});

test('each action asks first, and works for all threads', async (t) => {
  const { page, faults } = await openPage(t, browser, url);
  const client = '127.0.0.63';
  await exceed(client);
  const status = async () => (await ask(port, { from: client })).status;

  await page.getByRole('searchbox').fill(client);
  await page.keyboard.press('Enter');
  const dialog = page.locator('dialog.wide');
  await dialog.getByText(`Refused by the limiter “shop”`).waitFor();
  // Cancelled: nothing happens.
  await dialog.getByRole('button', { name: 'Let in' }).click();
  await confirm(page, 'Cancel');
  assert.equal(await status(), 429);

  await dialog.getByRole('button', { name: 'Reset' }).click();
  await confirm(page, 'Reset');
  await dialog.getByText('It is let in').waitFor();
  assert.equal(await status(), 200);

  await dialog.getByRole('button', { name: 'Block…' }).click();
  await page.locator('dialog form').getByLabel('For').selectOption('1d');
  await confirm(page, 'Block');
  await dialog.getByText('It may come again in 23 h').waitFor();
  assert.equal(await status(), 429);

  await dialog.getByRole('button', { name: 'Ban…' }).click();
  await page.locator('dialog form').getByLabel('Reason').fill(ATTACK);
  await confirm(page, 'Ban');
  await dialog.getByText(`Banned in “shop”, because of ${ATTACK}`).waitFor();
  assert.equal(await status(), 403);
  await dialog.getByRole('button', { name: 'Close' }).click();

  await row(page, 'bans', client).getByRole('button', { name: 'Unban' }).click();
  await confirm(page, 'Unban');
  await row(page, 'bans', client).waitFor({ state: 'detached' });
  assert.equal(await status(), 429);

  await page.getByRole('button', { name: 'Ban an address…' }).click();
  await page.locator('dialog form').getByLabel('Address or range').fill('127.0.9.0/24');
  await confirm(page, 'Ban');
  await row(page, 'bans', '127.0.9.0/24').waitFor();
  assert.equal((await ask(port, { from: '127.0.9.9' })).status, 403);

  await row(page, 'limiters', 'shop').getByRole('button', { name: 'Change…' }).click();
  await page.locator('dialog form').getByLabel('Requests').fill('7');
  await confirm(page, 'Change');
  await row(page, 'limiters', '7 per 1 h').waitFor();
  assert.equal(guard.limiter.peek('fresh').limit, 7);

  await row(page, 'limiters', 'shop').getByRole('button', { name: 'Dry run…' }).click();
  await confirm(page, 'Start the dry run');
  const badge = row(page, 'limiters', 'shop').locator('.badge');
  await badge.waitFor();
  assert.equal(await status(), 200);
  await row(page, 'limiters', 'shop').getByRole('button', { name: 'Refuse again' }).click();
  await confirm(page, 'Refuse again');
  await badge.waitFor({ state: 'detached' });
  assert.equal(await status(), 429);

  await row(page, 'circuits', TARGET).getByRole('button', { name: 'Isolate…' }).click();
  await confirm(page, 'Isolate');
  await row(page, 'circuits', 'isolated').waitFor();
  assert.equal(breaker.state(TARGET), 'isolated');
  await row(page, 'circuits', TARGET).getByRole('button', { name: 'Reset' }).click();
  await confirm(page, 'Reset');
  await page.locator('.events').getByText('calls pass again').first().waitFor();
  assert.equal(breaker.state(TARGET), 'closed');

  // What cannot be done is said in the dialog.
  await page.getByRole('button', { name: 'Ban an address…' }).click();
  await page.locator('dialog form').getByLabel('Address or range').fill('no address');
  await confirm(page, 'Ban');
  await page.getByRole('alert').filter({ hasText: 'no address' }).waitFor();
  // The browser itself reports an answer of 400.
  assert.deepEqual(
    faults.filter((fault) => !/status of 400/.test(fault)),
    [],
  );
});

test('what clients control stays text', async (t) => {
  for (let call = 0; call < 10; call++) guard.limiter.tryConsume(ATTACK);
  guard.monitor.record('login-failed', '127.0.0.64', ATTACK);
  guard.monitor.record('login-failed', '127.0.0.64', ATTACK);
  const { page, faults } = await openPage(t, browser, url);
  await page.getByRole('heading', { name: `Shop ${ATTACK}` }).waitFor();
  await page.locator('.events').getByText(ATTACK).first().waitFor();
  await page.getByRole('searchbox').fill('127.0.0.64');
  await page.keyboard.press('Enter');
  await page.locator('dialog .events').getByText(`login-failed: ${ATTACK}`).first().waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('searchbox').fill(ATTACK);
  await page.keyboard.press('Enter');
  await page.locator('dialog').getByText('Refused by the limiter').waitFor();
  assert.equal(await page.locator('img, script:not([src="app.js"])').count(), 0);
  assert.deepEqual(faults, []);
});

test('works with the keyboard alone, and names all it shows', async (t) => {
  await exceed('127.0.0.65', 30);
  const { page, faults } = await openPage(t, browser, url);
  await row(page, 'offenders', '127.0.0.65').waitFor();
  const button = row(page, 'offenders', '127.0.0.65').getByRole('button', { name: 'Let in' });
  await button.focus();
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog', { name: 'Let in 127.0.0.65?' });
  await dialog.waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  const isBack = await button.evaluate((element) => element === document.activeElement);
  assert.ok(isBack, 'the focus returns');
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll('button, input, select, section, table')]
      .filter((element) => {
        const by = element.getAttribute('aria-labelledby');
        const label =
          by === null ? element.getAttribute('aria-label') : document.getElementById(by)?.textContent;
        return !(label || element.textContent || element.labels?.[0]?.textContent);
      })
      .map((element) => element.outerHTML),
  );
  assert.deepEqual(unnamed, []);
  assert.equal(await page.locator('h1').count(), 1);
  assert.deepEqual(faults, []);
});

test('fits a phone, and follows the colours of the system and of the viewer', async (t) => {
  const phone = { viewport: { width: 390, height: 844 }, colorScheme: 'dark' };
  const { page, faults } = await openPage(t, browser, url, phone);
  await page.locator('section[aria-labelledby=offenders] tbody tr').first().waitFor();
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(await width(), 390, 'nothing is wider than the screen');
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await background();
  await page.getByRole('button', { name: 'Light' }).click();
  const light = await background();
  assert.notEqual(light, dark);
  await page.reload();
  await page.getByText('Live', { exact: true }).waitFor();
  assert.equal(await background(), light, 'the choice lasts');
  await page.locator('section[aria-labelledby=offenders] button.link').first().click();
  await page.locator('dialog h3').first().waitFor();
  assert.equal(await width(), 390);
  assert.deepEqual(faults, []);
});

test('says that it lost the server, and goes on once it is back', async (t) => {
  const server = http.createServer(sluice.dashboard());
  t.after(() => server.close());
  // An address of its own, where no other server takes the port meanwhile.
  const host = '127.0.0.72';
  server.listen(0, host);
  await once(server, 'listening');
  const own = server.address().port;
  const { page } = await openPage(t, browser, `http://${host}:${own}/`);
  await page.getByText('Live', { exact: true }).waitFor();
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  await page.getByText('Connection lost').waitFor();
  server.listen(own, host);
  await page.getByText('Live', { exact: true }).waitFor();
  await page.close();
  server.closeAllConnections();
});
