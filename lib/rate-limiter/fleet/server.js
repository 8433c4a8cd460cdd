'use strict';

const { invalidOption, SluiceError } = require('../../runtime/errors');
const { checkOptions, owned } = require('../../runtime/schema');

const ACCEPTED = 'a url, or { url | nodes | sentinels and master, username?, password?, database?, tls? }';

/** What says where the counts are. */
const PLACES = ['url', 'nodes', 'sentinels'];

// No message repeats what may hold a password or a key.

const text = (value, option) => {
  if (typeof value === 'string') return value;
  throw new SluiceError('INVALID_OPTION', `${option} is no string; accepted: a string`);
};

const urls = (value, option) => {
  if (Array.isArray(value) && value.length > 0 && value.every((url) => typeof url === 'string')) return value;
  throw new SluiceError(
    'INVALID_OPTION',
    `${option} is no list of urls; accepted: an array of one url or more`,
  );
};

const masterName = (value, option) => {
  if (typeof value === 'string' && /^[\x21-\x7e]{1,128}$/.test(value)) return value;
  throw invalidOption(option, value, 'the name that the sentinels have for it, such as "mymaster"');
};

const database = (value, option) => {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff) return value;
  throw invalidOption(option, value, 'an integer from 0 to 65535');
};

const pem = (value, option) => {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  throw new SluiceError('INVALID_OPTION', `${option} is neither text nor a Buffer; accepted: PEM, as either`);
};

const TLS = { ca: pem, cert: pem, key: pem, servername: text };

const tls = (value, option) => {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Uint8Array) {
    throw new SluiceError(
      'INVALID_OPTION',
      `${option} is no object; accepted: { ca?, cert?, key?, servername? }, or {} for encryption without any`,
    );
  }
  return checkOptions(option, value, TLS);
};

const SERVER = {
  url: text,
  nodes: urls,
  sentinels: urls,
  master: masterName,
  username: text,
  password: text,
  database,
  tls,
};

/** Where the counts are, and how to log in there, as native code takes it. */
function serverOption(value, option) {
  const server = typeof value === 'string' ? { url: value } : value;
  if (server === null || typeof server !== 'object' || Array.isArray(server)) {
    throw new SluiceError('INVALID_OPTION', `${option} is no url; accepted: ${ACCEPTED}`);
  }
  const checked = checkOptions(option, server, SERVER);
  checkPlace(checked, option);
  const tls = tlsOf(checked);
  return tls === undefined ? checked : owned(checked, { tls });
}

function checkPlace(checked, option) {
  const given = PLACES.filter((name) => checked[name] !== undefined);
  if (given.length === 0) {
    throw invalidOption(
      `${option} url`,
      undefined,
      'a url such as "redis://host:6379"; or nodes; or sentinels',
    );
  }
  if (given.length > 1) {
    throw new SluiceError(
      'INVALID_OPTION',
      `${option} has ${given.join(' and ')}; accepted: one of ${PLACES.join(', ')}`,
    );
  }
  if ((checked.master !== undefined) !== (checked.sentinels !== undefined)) {
    const lacks = checked.master === undefined ? 'sentinels without master' : 'master without sentinels';
    throw new SluiceError('INVALID_OPTION', `${option} has ${lacks}; accepted: both, or neither`);
  }
}

/** How connections are encrypted; undefined where none is. */
function tlsOf({ url, nodes, sentinels, tls }) {
  const isAskedFor = tls !== undefined;
  const isEncrypted = (url) => /^rediss:/i.test(url);
  if (!isAskedFor && ![url ?? [], nodes ?? [], sentinels ?? []].flat().some(isEncrypted)) return undefined;
  return owned(tls, { isAskedFor }, tls?.ca === undefined ? { roots: trustedRoots() } : {});
}

let roots;

/** The authorities that this Node.js trusts: those of `NODE_EXTRA_CA_CERTS` and `--use-system-ca` as well, where it can say. */
function trustedRoots() {
  if (roots === undefined) {
    const tls = /** @type {any} */ (require('node:tls'));
    const certificates = tls.getCACertificates?.('default') ?? tls.rootCertificates;
    roots = certificates.join('\n');
  }
  return roots;
}

module.exports = { serverOption };
