// Options and expectations that the tests of onMismatch share.

export const reconfigure = { onMismatch: 'reconfigure' };
export const mismatch = (option) => ({
  code: 'ERR_SLUICE_CONFIG_MISMATCH',
  message: new RegExp(`created with ${option.replace(/[[\]]/g, '\\$&')} = .*fixed at creation`),
});

/** Collects reconfiguration warnings. The function returned resolves with the messages since its last call. */
export function warnings(t) {
  const messages = [];
  const collect = ({ code, message }) => code === 'SLUICE_RECONFIGURED' && messages.push(message);
  process.on('warning', collect);
  t.after(() => process.off('warning', collect));
  return async () => {
    await new Promise(setImmediate);
    return messages.splice(0);
  };
}

export const rule = { event: 'scan', count: 3, window: '1h', action: 'alert' };
export const bans = { maxFailures: 5, findTime: '1h', banTime: '1h', maxBanTime: '1d' };
