// The server's event stream, and requests to it.
import { useEffect, useState } from 'preact/hooks';
import { addHistory, emptyHistory } from './history.js';

const RETRY_MS = 3000;
/** Without a message for so long the page no longer says that it is live. */
const STALE_MS = 4000;

const START = { status: 'connecting', facts: null, snapshot: null, history: emptyHistory() };

/** `{ status, facts, snapshot, history }`; `status` is `'connecting'`, `'live'` or `'lost'`. */
export function useStream() {
  const [state, setState] = useState(START);
  useEffect(() => connect(setState), []);
  return state;
}

function connect(setState) {
  let source;
  let stale;
  let retry;
  const lost = () => setState((state) => ({ ...state, status: 'lost' }));
  const heard = () => {
    clearTimeout(stale);
    stale = setTimeout(lost, STALE_MS);
  };
  const open = () => {
    source = new EventSource('events');
    source.addEventListener('hello', ({ data }) => {
      const { history, ...facts } = JSON.parse(data);
      setState((state) => ({ ...state, facts, history: addHistory(emptyHistory(), history) }));
    });
    source.addEventListener('snapshot', ({ data }) => {
      const { history, ...snapshot } = JSON.parse(data);
      heard();
      setState((state) => ({
        ...state,
        status: 'live',
        snapshot,
        history: addHistory(state.history, history),
      }));
    });
    source.addEventListener('error', () => {
      lost();
      // The browser itself tries again, unless the server has refused.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    });
  };
  open();
  return () => {
    clearTimeout(stale);
    clearTimeout(retry);
    source.close();
  };
}

/** POSTs JSON; rejects with an `Error` that says why the server refused. */
export async function post(place, body) {
  const response = await fetch(place, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Sluice-Dashboard': '1' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  if (response.ok) return JSON.parse(text);
  throw new Error(isJson ? JSON.parse(text).error : text.trim());
}
