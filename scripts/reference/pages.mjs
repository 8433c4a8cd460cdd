// The sections of the pages, and which of them describes a name.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../addon.mjs';

/** As GitHub makes them of headings. */
export function anchorOf(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** Whether a section (`page.md#anchor`; `page.md` up to its second heading) mentions the name, in any case. */
export function mentions(place, name) {
  return new RegExp(word(name), 'i').test(sectionAt(place)?.text ?? '');
}

export function hasSection(place) {
  return sectionAt(place) !== undefined;
}

function sectionAt(place) {
  return sectionsOf(place.split('#')[0]).find((section) => section.place === place);
}

/**
 * The first section that describes the name: with a table row that begins with it, else that mentions it in code, else in
 * its text. `undefined` if there is none.
 */
export function placeOf(name, pages) {
  const patterns = [`^\\| [^|]*\`${word(name)}[^|]*\\|`, `\`[^\`\n]*${word(name)}[^\`\n]*\``, word(name)];
  const sections = pages.flatMap(sectionsOf);
  for (const pattern of patterns) {
    const found = sections.find(({ text }) => new RegExp(pattern, 'm').test(text));
    if (found !== undefined) return found.place;
  }
  return undefined;
}

function word(name) {
  return `(?<!\\w)${name}(?!\\w)`;
}

/** `{ place, text }` in order; what comes before the second heading belongs to the page itself. */
function sectionsOf(page) {
  const [first, ...others] = readFileSync(path.join(root, 'docs', page), 'utf8').split(/^##+ /m);
  const sections = others.map((text) => ({
    place: `${page}#${anchorOf(text.slice(0, text.indexOf('\n')))}`,
    text,
  }));
  return [{ place: page, text: first }, ...sections];
}
