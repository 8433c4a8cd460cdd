// The values of RateLimit: kept texts and parts of them never change what is written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import quotaTexts from '../../lib/guard/quota-texts.js';

const { QuotaTexts } = quotaTexts;

/** Around the places at which digits are split, and pairs whose kept parts take the same place. */
const REMAINING = [
  ...[0, 1, 9, 10, 99, 100, 101, 109, 110, 199, 200, 255, 256, 999, 1000],
  ...[6499, 6500, 6501, 12_900, 12_901, 2 ** 31 - 1, 2 ** 31, 999_999_999, Number.MAX_SAFE_INTEGER],
];
const SECONDS = [0, 1, 16, 59, 60, 86_400, 3_155_760_000];

test('the text is that of the numbers, in any order and asked again', () => {
  const texts = new QuotaTexts('"api";r=');
  const expected = (remaining, seconds) => `"api";r=${remaining};t=${seconds}`;
  for (const seconds of [...SECONDS, ...SECONDS.toReversed()]) {
    for (const remaining of [...REMAINING, ...REMAINING.toReversed()]) {
      assert.equal(texts.textOf(remaining, seconds), expected(remaining, seconds));
    }
  }
});

test('a quota that counts down is written as it counts', () => {
  const texts = new QuotaTexts('"api";r=');
  for (let remaining = 13_000; remaining >= 0; remaining--) {
    assert.equal(texts.textOf(remaining, 1), `"api";r=${remaining};t=1`);
  }
});
