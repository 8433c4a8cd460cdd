'use strict';

const { addMount, learnMount } = require('./own-requests');
const { FILES, sendSentence } = require('./page');

const POSTED = new Set(['/client', '/action']);
const PLACES = new Set([...Object.keys(FILES), '/events', '/snapshot', ...POSTED]);

/** On a request: the path below the mount, where a framework has told it. */
const kBelow = Symbol('sluice.below');

/**
 * A handler `(req, res, next?)` for the places below a mount, with `.fastify`, a plugin. `answer(req, res, place)` answers
 * for one of them. `path` is the mount; without it, the part of the URL that Express and Fastify have taken off, or none.
 */
function mountedHandler(answer, { path, onOpen, onClose }) {
  if (path !== undefined) addMount(path);

  function handler(req, res, next) {
    const below = belowMount(req, path);
    if (below === undefined) return pass(req, res, next);
    // Links of the page are relative to its folder.
    if (below === '') return redirect(req, res);
    if (!PLACES.has(below)) return pass(req, res, next);
    answer(req, res, below);
  }

  return Object.assign(handler, {
    ...asApplication(handler),
    fastify: (fastify) => installIn(fastify, handler, { onOpen, onClose }),
  });
}

/** The path below the mount, `''` for the mount itself without a slash at its end; `undefined` for other paths. */
function belowMount(req, path) {
  const own = req[kBelow] ?? (path === undefined ? ofExpress(req) : undefined);
  if (own !== undefined) return own;
  const [pathname] = (req.originalUrl ?? req.url).split('?', 1);
  if (path === undefined) return pathname;
  return pathname === path || pathname.startsWith(`${path}/`) ? pathname.slice(path.length) : undefined;
}

/** Express takes the mount off `url`, and puts `/` in the place of nothing. */
function ofExpress({ app, baseUrl, originalUrl, url }) {
  if (typeof baseUrl !== 'string' || baseUrl === '') return undefined;
  learnMount(baseUrl, ignoresCase(app));
  const [whole] = originalUrl.split('?', 1);
  return whole === baseUrl ? '' : url.split('?', 1)[0];
}

function ignoresCase(app) {
  return app?.enabled?.('case sensitive routing') === false;
}

function redirect(req, res) {
  const [pathname] = (req.originalUrl ?? req.url).split('?', 1);
  const folder = pathname.slice(pathname.lastIndexOf('/') + 1);
  sendSentence(req, res, 302, 'The page has a slash at its end.', { Location: `${folder}/` });
}

function pass(req, res, next) {
  if (typeof next === 'function') return next();
  sendSentence(req, res, 404, 'There is nothing here.');
}

/**
 * What makes `app.use('/path', handler)` of Express tell the mount at once, as it does to an application: guards then know
 * the dashboard's requests before the first of them.
 */
function asApplication(handler) {
  return {
    handle: handler,
    set() {},
    emit(event, parent) {
      const { mountpath } = /** @type {any} */ (handler);
      if (event !== 'mount' || typeof mountpath !== 'string') return;
      const above = typeof parent?.path === 'function' ? parent.path() : '';
      addMount(`${above}${mountpath}`, ignoresCase(parent));
    },
  };
}

/** Registers the places in a scope of Fastify; `prefix` is the mount. */
async function installIn(fastify, handler, { onOpen, onClose }) {
  const { prefix } = fastify;
  addMount(prefix, !caseMatters(fastify));
  onOpen();
  fastify.removeAllContentTypeParsers();
  // The handler reads the body itself.
  fastify.addContentTypeParser('*', (_request, _payload, done) => done(null));
  fastify.addHook('preClose', (done) => {
    onClose();
    done();
  });
  const answer = (below) => (request, reply) => {
    reply.hijack();
    request.raw[kBelow] = typeof below === 'function' ? below(request.raw) : below;
    handler(request.raw, reply.raw);
  };
  const route = (url, below, method) =>
    fastify.route({ method, url, prefixTrailingSlash: 'slash', handler: answer(below) });
  // One route is then for the mount with and without a slash at its end.
  const isOne = ignoresTrailingSlash(fastify);
  if (prefix !== '' && !isOne) fastify.route({ method: 'GET', url: '', handler: answer('') });
  for (const place of PLACES) {
    const below = place === '/' && prefix !== '' && isOne ? slashAtEnd : place;
    route(place, below, POSTED.has(place) ? 'POST' : 'GET');
  }
}

function ignoresTrailingSlash({ initialConfig: { ignoreTrailingSlash, routerOptions } }) {
  return routerOptions?.ignoreTrailingSlash === true || ignoreTrailingSlash === true;
}

function caseMatters({ initialConfig: { caseSensitive, routerOptions } }) {
  return routerOptions?.caseSensitive !== false && caseSensitive !== false;
}

/** The place of the page: links are relative to the path that the browser has. */
function slashAtEnd({ url }) {
  return url.split('?', 1)[0].endsWith('/') ? '/' : '';
}

module.exports = { mountedHandler };
