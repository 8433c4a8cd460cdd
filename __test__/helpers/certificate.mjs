// Certificates for tests: self-signed, or by an authority of the test. Node creates keys and signatures; this file encodes
// the certificates as DER.
import crypto from 'node:crypto';

function der(tag, ...parts) {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts) => der(0x30, ...parts);
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));
const time = (text) => der(0x18, Buffer.from(text));
const nameOf = (text) => sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(text)))));
const newKeys = () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });

const TRUE = der(0x01, Buffer.from([0xff]));
const IS_AUTHORITY = sequence(oid('551d13'), TRUE, der(0x04, sequence(TRUE)));

let serial = 0;

/** The extension that says which hosts a certificate is for. */
function hostsOf(hosts) {
  const names = hosts.map((host) => {
    if (!/^[\d.]+$/.test(host)) return der(0x82, Buffer.from(host));
    return der(0x87, Buffer.from(host.split('.').map(Number)));
  });
  return sequence(oid('551d11'), der(0x04, sequence(...names)));
}

function certificate({ issuer, subject, publicKey, signedBy, extensions = [], until = '21000101000000Z' }) {
  const algorithm = sequence(oid('2a8648ce3d040302')); // ecdsa-with-SHA256
  serial += 1;
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([serial])),
    algorithm,
    nameOf(issuer),
    sequence(time('20200101000000Z'), time(until)),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    ...(extensions.length > 0 ? [der(0xa3, sequence(...extensions))] : []),
  );
  const signature = crypto.sign('sha256', body, signedBy);
  return pem('CERTIFICATE', sequence(body, algorithm, der(0x03, Buffer.from([0]), signature)));
}

function pem(label, bytes) {
  const lines = bytes
    .toString('base64')
    .match(/.{1,64}/g)
    .join('\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

const keyOf = (privateKey) => privateKey.export({ type: 'pkcs8', format: 'pem' });

/** `{ key, cert }` as PEM, for localhost. */
export function selfSigned() {
  const { privateKey, publicKey } = newKeys();
  const cert = certificate({ issuer: 'localhost', subject: 'localhost', publicKey, signedBy: privateKey });
  return { key: keyOf(privateKey), cert };
}

/** An authority: its own certificate as PEM, and `issue`, which signs others. */
export function makeAuthority(name = 'authority of a test') {
  const { privateKey, publicKey } = newKeys();
  const own = { issuer: name, subject: name, publicKey, signedBy: privateKey, extensions: [IS_AUTHORITY] };
  return {
    cert: certificate(own),
    key: keyOf(privateKey),
    /** `{ key, cert }` as PEM for these hosts. */
    issue(hosts = ['127.0.0.1', 'localhost'], { until } = {}) {
      const keys = newKeys();
      const cert = certificate({
        issuer: name,
        subject: 'of a test',
        publicKey: keys.publicKey,
        signedBy: privateKey,
        extensions: [hostsOf(hosts)],
        until,
      });
      return { key: keyOf(keys.privateKey), cert };
    },
  };
}
