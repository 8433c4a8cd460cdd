// Where the engine loses, by the same rules in every run: a contender with the same task makes over 5 % more calls per
// second, or its p99 is over 5 % lower with at most as many threads as cores.
import { cores } from '../machine.mjs';
import { NOTICEABLE, ratio } from '../statistics.mjs';
import { clientsOf, distinct, isSluice, only, times, where } from './rows.mjs';

export function engineLosses({ rows }) {
  return [
    ...throughput(rows),
    ...slowest(rows),
    ...byKeys(rows, 'strings', 'Strings for keys'),
    ...byKeys(rows, 'integers', 'Integers for keys'),
    ...together(rows),
    ...registry(rows),
    ...security(rows),
  ];
}

/** Contenders that read a clock are compared with the variant of sluice that does. */
function rivalOf({ contender }) {
  return contender.endsWith('its clock') ? 'sluice, its clock' : 'sluice';
}

function throughput(rows) {
  const ofAll = where(rows, { section: 'contention' });
  return lostBy(ofAll, 'A limit per client, ', MORE, times);
}

function slowest(rows) {
  const ofAll = where(rows, { section: 'contention' }).filter(({ threads }) => threads <= cores);
  return lostBy(ofAll, 'A limit per client, ', SOONER, sooner);
}

const MORE = 'more calls per second than sluice, by threads,';
const SOONER = 'a lower p99 than sluice, by threads,';

function sooner(rival, sluice) {
  return ratio(sluice.p99, rival.p99);
}

/** A sentence for each load. */
function lostBy(rows, title, what, advantage) {
  return distinct(rows, 'load').flatMap((load) => {
    const winners = winnersOf(where(rows, { load }), advantage);
    return winners.length > 0 ? [`${title}${load}: ${what} with ${winners.join('; ')}.`] : [];
  });
}

/** Contenders with a noticeable advantage over the row of sluice that they are compared with. */
function winnersOf(rows, advantage, rival = rivalOf) {
  const others = distinct(
    rows.filter((row) => !isSluice(row)),
    'contender',
  );
  return others.flatMap((contender) => {
    const won = where(rows, { contender })
      .map((row) => ({
        threads: row.threads,
        by: advantage(row, only(rows, { contender: rival(row), threads: row.threads })),
      }))
      .filter(({ by }) => by > NOTICEABLE);
    const list = won.map(({ threads, by }) => `${threads}: ${by.toFixed(2)} ×`);
    return list.length > 0 ? [`\`${contender}\` (${list.join(', ')})`] : [];
  });
}

function byKeys(rows, section, title) {
  const ofAll = where(rows, { section });
  return distinct(ofAll, 'keys').flatMap((keys) =>
    lostBy(where(ofAll, { keys }), `${title}, ${clientsOf(keys)}, `, MORE, times),
  );
}

function security(rows) {
  const ofAll = where(rows, { section: 'security' });
  return distinct(ofAll, 'keys').flatMap((keys) => {
    const ofKeys = where(ofAll, { keys });
    const onCores = ofKeys.filter(({ threads }) => threads <= cores);
    const title = `What protects a server, ${clientsOf(keys)}, `;
    return [...lostBy(ofKeys, title, MORE, times), ...lostBy(onCores, title, SOONER, sooner)];
  });
}

/** Loads under which sluice makes fewer calls in two threads than in one. */
function together(rows) {
  const ofSluice = rows.filter(
    (row) => row.contender === 'sluice' && 'load' in row && row.section === 'contention',
  );
  const slower = distinct(ofSluice, 'load')
    .map((load) => ({
      load,
      by: times(only(ofSluice, { load, threads: 1 }), only(ofSluice, { load, threads: 2 })),
    }))
    .filter(({ by }) => by > NOTICEABLE)
    .map(({ load, by }) => `${load} (one thread makes ${by.toFixed(2)} × the calls of two)`);
  return slower.length > 0
    ? [`Two threads together make fewer calls than one alone: ${slower.join('; ')}.`]
    : [];
}

/** A sentence for each variant of sluice, as users choose between them. */
function registry(rows) {
  const ofAll = where(rows, { section: 'registry' });
  return distinct(ofAll, 'load').flatMap((load) => {
    const ofLoad = where(ofAll, { load });
    return distinct(ofLoad.filter(isSluice), 'contender').flatMap((variant) => {
      const winners = winnersOf(ofLoad, times, () => variant);
      return winners.length > 0
        ? [
            `Registry, ${load}: more calls per second than \`${variant}\`, by threads, with ${winners.join('; ')}.`,
          ]
        : [];
    });
  });
}
