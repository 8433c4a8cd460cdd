// What the declarations of types export, read from their text: they are written in one style, which lint checks.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../addon.mjs';

const DECLARATION =
  /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:\/\/ biome-ignore [^\n]*\n)?)?^(?:export |declare )*(class|interface|type|function) (\w+)[^\n]*/gm;

/** `{ kind, name, isExported, doc, body, file }` of each declaration at the top of a file. `doc` is its first sentence, or ''. */
export function declarationsIn(file) {
  const text = readFileSync(path.join(root, file), 'utf8');
  return [...text.matchAll(DECLARATION)].map(({ 0: matched, 1: comment = '', 2: kind, 3: name, index }) => ({
    kind,
    name,
    isExported: /^export /m.test(matched),
    doc: firstSentence(comment),
    body: bodyAt(text, index + matched.lastIndexOf('\n') + 1),
    file,
  }));
}

/** The names that `index.d.ts` re-exports, each with the file that declares it. */
export function reexports() {
  const text = readFileSync(path.join(root, 'index.d.ts'), 'utf8');
  const lists = [...text.matchAll(/export (?:type )?\{([^}]+)\} from '\.\/([^']+)'/g)];
  return lists.flatMap(([, names, module]) =>
    names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
      .map((name) => ({ name, file: declaringFile(module, name) })),
  );
}

/** A module may pass on what a file beside it declares. */
function declaringFile(module, name) {
  const candidates = [`${module}/index.d.ts`, `${module}/options.d.ts`, `${module}.d.ts`];
  const found = candidates.find((file) => declares(file, name));
  if (found === undefined)
    throw new Error(`index.d.ts exports ${name} of ${module}, which does not declare it`);
  return found;
}

function declares(file, name) {
  try {
    return declarationsIn(file).some((declared) => declared.name === name);
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

/** Names of the properties of a declaration, with the indentation of its own members. */
export function propertiesOf({ body }) {
  return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name);
}

/** Names of the events that listeners of a declaration are added for. */
export function eventsOf({ body }) {
  const lists = [...body.matchAll(/^ {2}on(?:<[^>]*>)?\(\s*event: ('[^,]*),/gm)].map(([, list]) => list);
  return lists.flatMap((list) => [...list.matchAll(/'(\w+)'/g)].map(([, name]) => name));
}

/** A declaration ends where the next one begins. */
function bodyAt(text, start) {
  return text.slice(start).split(/\n(?=\/\*\*|export |declare |interface |type )/)[0];
}

function firstSentence(comment) {
  const prose = comment.split(/\n\s*\* (?:-|@|\n)/)[0];
  const text = prose
    .replaceAll(/\n\s*\* ?/g, ' ')
    .replaceAll(/\{@link (\w+)\}/g, '`$1`')
    .trim();
  const [sentence = ''] = /^.+?[.:](?= |$)/.exec(text.replace(/^\* /, '')) ?? [text];
  return sentence.replace(/:$/, '.').trim();
}
