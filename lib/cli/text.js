'use strict';

/*
 * Texts for a terminal. Clients control keys and details of events; as they are, those could move the cursor, change what
 * is shown, or type commands.
 */

/** Control characters, invisible ones, those that change the direction, and what is no character. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** The same, of what JSON.stringify leaves as it is. */
const UNPRINTABLE_IN_JSON = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu;
const MARK = /\p{M}/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f000}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** Code points of one text that are shown at most. */
const MOST = 300;

/** A text on one line, in which each character that is not printed is written as `\u{…}`. */
function printable(text, most = MOST) {
  const points = [...String(text)];
  const start = points.length > most ? `${points.slice(0, most).join('')}…` : points.join('');
  return start.replaceAll(UNPRINTABLE, (found) => `\\u{${found.codePointAt(0).toString(16)}}`);
}

/** JSON in one line, safe to print: what is not printable is escaped. */
function printableJson(value) {
  return JSON.stringify(value).replaceAll(UNPRINTABLE_IN_JSON, escaped);
}

function escaped(found) {
  return Array.from({ length: found.length }, (_, place) => {
    return `\\u${found.charCodeAt(place).toString(16).padStart(4, '0')}`;
  }).join('');
}

/** How many columns of a terminal a printable text takes. */
function widthOf(text) {
  let width = 0;
  for (const point of text) width += widthOfPoint(point);
  return width;
}

function widthOfPoint(point) {
  if (point < '\u0300') return 1;
  if (MARK.test(point)) return 0;
  return WIDE.test(point) ? 2 : 1;
}

/** The text in at most so many columns, with an ellipsis where its end is missing. */
function fitted(text, columns) {
  if (widthOf(text) <= columns) return text;
  let [fit, width] = ['', 0];
  for (const point of text) {
    width += widthOfPoint(point);
    if (width > columns - 1) break;
    fit += point;
  }
  return `${fit}…`;
}

/** The text with spaces up to so many columns, at its end or before it. */
function padded(text, columns, isRight = false) {
  const space = ' '.repeat(Math.max(0, columns - widthOf(text)));
  return isRight ? space + text : text + space;
}

module.exports = { fitted, padded, printable, printableJson, widthOf };
