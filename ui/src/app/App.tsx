import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { t } from '../i18n/index.ts';
import { go, here, match, route } from '../lib/router.ts';
import { lazy } from '../lib/lazy.tsx';
import { entryKey } from '../live/hosts.ts';
import { expired, loadSession, session, sessionError } from '../live/store.ts';
import { runForm } from '../pages/commands/start.ts';
import { Login } from '../pages/login/Login.tsx';
import { SignInAgain } from '../pages/login/SignInAgain.tsx';
import { NotFound } from '../pages/notfound/NotFound.tsx';
import { Machine, Overview } from '../pages/overview/Overview.tsx';
import { Problem } from '../ui/Notice.tsx';
import { Banners } from './Banners.tsx';
import { Palette } from './palette/Palette.tsx';
import { Sidebar } from './Sidebar.tsx';
import { Toast } from './Toast.tsx';
import { useGlobalKeys } from './globalKeys.ts';
import { paletteOpen, shortcutsOpen } from './state.ts';

const Commands = lazy(() => import('../pages/commands/Commands.tsx').then((m) => m.Commands), { soon: true });
const RunForm = lazy(() => import('../pages/commands/RunForm.tsx').then((m) => m.RunForm), { soon: true });
const History = lazy(() => import('../pages/history/History.tsx').then((m) => m.History), { soon: true });
const Shortcuts = lazy(() => import('./Shortcuts.tsx').then((m) => m.Shortcuts));
const More = lazy(() => import('../pages/more/More.tsx').then((m) => m.More));
const RunPage = lazy(() => import('../pages/run/RunPage.tsx').then((m) => m.RunPage), { soon: true });
const Schedule = lazy(() => import('../pages/schedule/Schedule.tsx').then((m) => m.Schedule));
const Audit = lazy(() => import('../pages/audit/Audit.tsx').then((m) => m.Audit));
const Resources = lazy(() => import('../pages/resources/Resources.tsx').then((m) => m.Resources));
const Settings = lazy(() => import('../pages/settings/Settings.tsx').then((m) => m.Settings));

/** Begins to load the page that the address names, while it is asked who is signed in. */
export function fetchPage(): void {
  const code = { overview: Machine, commands: Commands, run: RunPage, history: History, schedule: Schedule, audit: Audit, more: More, settings: Settings, resources: Resources, login: null, notFound: null };
  code[route.peek().page]?.fetch();
}

function Page(): JSX.Element {
  const r = route.value;
  switch (r.page) {
    case 'overview':
    case 'login':
      return <Overview />;
    case 'commands':
      return <Commands />;
    case 'run':
      return <RunPage key={r.id + here.value.query} id={r.id} />;
    case 'history':
      return <History />;
    case 'schedule':
      return <Schedule />;
    case 'audit':
      return <Audit />;
    case 'more':
      return <More />;
    case 'settings':
      return <Settings />;
    case 'resources':
      return <Resources key={r.section} section={r.section} />;
    case 'notFound':
      return <NotFound />;
  }
}

function Shell() {
  useGlobalKeys();
  return (
    <div class="shell">
      <a class="skip" href="#main">
        {t.value.skipToContent}
      </a>
      <Sidebar />
      <main id="main" tabIndex={-1}>
        <Banners />
        <Page />
      </main>
      {runForm.value && <RunForm key={entryKey(runForm.value.entry)} request={runForm.value} />}
      {paletteOpen.value && <Palette />}
      {shortcutsOpen.value && <Shortcuts />}
      {expired.value && <SignInAgain />}
      <Toast />
    </div>
  );
}

/** Where to go after signing in: never to another site. */
export function afterLogin(query: string): string {
  const next = new URLSearchParams(query).get('next') ?? '/';
  return /^\/(?![/\\])/.test(next) && match(next.split(/[?#]/)[0]!).page !== 'login' ? next : '/';
}

export function App() {
  const s = session.value;
  const { path, query, hash } = here.value;
  useEffect(() => {
    if (s === null && path !== '/login') {
      const back = path + query + hash;
      go(back === '/' ? '/login' : `/login?next=${encodeURIComponent(back)}`, true);
    } else if (s && path === '/login') go(afterLogin(query), true);
  }, [s, path]);
  if (s === undefined) {
    const error = sessionError.value;
    return <main class="boot">{error ? <Problem error={error} retry={() => void loadSession()} /> : null}</main>;
  }
  return s === null ? <Login /> : <Shell />;
}
