import { effect } from '@preact/signals';
import { render } from 'preact';
import { App, fetchPage } from './app/App.tsx';
import { startBadge } from './app/badge.ts';
import { lang, loadWords } from './i18n/index.ts';
import { startDensity } from './lib/density.ts';
import { startMotion } from './lib/motion.ts';
import { warmFormats } from './lib/format.ts';
import { startKeys } from './lib/keys.ts';
import { loadSoon } from './lib/lazy.tsx';
import { startRouter } from './lib/router.ts';
import { startTheme } from './lib/theme.ts';
import { loadSession, runs, startLive } from './live/store.ts';

startTheme();
startDensity();
startMotion();
document.documentElement.lang = lang.value;
startRouter();
startKeys();
startLive();
startBadge();
void loadSession();
fetchPage();
warmFormats();
effect(() => {
  if (runs.value) loadSoon();
});
// In the reader's language from the first moment; in English if those words cannot be had.
void loadWords()
  .catch(() => undefined)
  .then(() => render(<App />, document.getElementById('app')!));
