// Light or dark: as the system has it, unless the viewer has chosen.
import { useEffect, useState } from 'preact/hooks';

const KEY = 'sluice.scheme';
const isDark = matchMedia('(prefers-color-scheme: dark)');

const system = () => (isDark.matches ? 'dark' : 'light');

function chosen() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** `[scheme, toggle]`. */
export function useScheme() {
  const [scheme, setScheme] = useState(chosen() ?? system());
  useEffect(() => {
    const follow = () => setScheme(chosen() ?? system());
    isDark.addEventListener('change', follow);
    return () => isDark.removeEventListener('change', follow);
  }, []);
  // Before what is drawn with the colours.
  document.documentElement.dataset.scheme = scheme;
  const toggle = () => {
    const other = scheme === 'dark' ? 'light' : 'dark';
    try {
      localStorage.setItem(KEY, other);
    } catch {
      // A browser may forbid it; the choice then lasts as long as the page.
    }
    setScheme(other);
  };
  return [scheme, toggle];
}
