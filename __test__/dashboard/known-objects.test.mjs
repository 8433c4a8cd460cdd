// What a thread keeps for each instance is dropped once the instance was destroyed.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { test } from 'node:test';
import sluice from '../../index.js';
import attachedObjects from '../../lib/observation/attached.js';
import published from '../../lib/observation/published-events.js';
import { freshNames } from '../helpers/setup.mjs';

const freshName = freshNames('known-objects');
const BANS = { maxFailures: 2, findTime: '1m', banTime: '1h', maxBanTime: '1h' };

test('objects of destroyed instances are dropped, others stay', () => {
  const stays = freshName();
  new sluice.Reputation(stays, BANS);
  const kept = attachedObjects.attached('Reputation', stays);
  for (let n = 0; n < 200; n++) {
    const name = freshName();
    new sluice.Reputation(name, BANS);
    assert.notEqual(attachedObjects.attached('Reputation', name), null);
    sluice.Reputation.destroy(name);
  }
  assert.ok(attachedObjects.objects.size <= 40, `${attachedObjects.objects.size}`);
  assert.equal(attachedObjects.attached('Reputation', stays), kept);
});

test('so are those whose events are published', (t) => {
  const listener = () => {};
  diagnostics.subscribe('sluice:reputation:ban', listener);
  t.after(() => diagnostics.unsubscribe('sluice:reputation:ban', listener));
  for (let n = 0; n < 200; n++) {
    const name = freshName();
    new sluice.Reputation(name, BANS);
    sluice.Reputation.destroy(name);
  }
  const { size } = published.publishing;
  assert.ok(size > 0 && size <= 40, `${size}`);
});
