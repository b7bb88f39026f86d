import { t } from '../i18n/index.ts';
import { lazy } from '../lib/lazy.tsx';
import { path } from '../lib/router.ts';
import { pagePath, several } from '../live/hosts.ts';
import { activeRuns, connection, hostName } from '../live/store.ts';
import { sectionAt } from '../pages/resources/sections.ts';
import { Icon } from '../ui/Icon.tsx';
import { Link } from '../ui/Link.tsx';
import { MOD, NAV } from './nav.ts';
import { paletteOpen } from './state.ts';

const HostSwitch = lazy(() => import('./HostSwitch.tsx').then((m) => m.HostSwitch));

function current(href: string, p: string): boolean {
  if (href === '/') return p === '/' || sectionAt(p) !== null;
  if (href === '/more') return p === '/more' || NAV.some((n) => n.wide && p.startsWith(n.href));
  if (href === '/history') return p.startsWith('/history') || p.startsWith('/runs');
  return p.startsWith(href);
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <path d="M10 11.5l4.5 4.5-4.5 4.5M17.5 21h5" />
    </svg>
  );
}

/** One word for the state of the connection, with a dot. */
export function ConnectionState() {
  const m = t.value;
  const c = connection.value;
  const [tone, word] =
    c.kind === 'open' ? ['ok', m.live] : c.kind === 'offline' ? ['err', m.offline] : c.kind === 'waiting' ? ['warn', m.reconnecting] : ['quiet', m.connecting];
  return (
    <span class="connection">
      <span class={`dot ${tone}`} aria-hidden="true" />
      <span>{word}</span>
    </span>
  );
}

export function Sidebar() {
  const m = t.value;
  const p = path.value;
  const active = activeRuns.value.length;
  return (
    <header class="side">
      <Link href={pagePath('/')} class="brand" label="Ops Dashboard">
        <Logo />
        <span class="brand-name">Ops</span>
      </Link>
      <button type="button" class="search-button" onClick={() => (paletteOpen.value = true)} aria-keyshortcuts="Meta+K Control+K">
        <Icon name="search" />
        <span class="search-words">{m.searchOrRun}</span>
        <kbd>{MOD}K</kbd>
      </button>
      <nav aria-label={m.mainNavigation}>
        {NAV.map((n) => (
          <Link key={n.href} href={pagePath(n.href)} current={current(n.href, p)} class={`nav-item ${n.wide ? 'nav-wide' : ''}`}>
            <Icon name={n.icon} />
            <span>{m[n.word]}</span>
            {n.href === '/history' && active > 0 && (
              <span class="count" title={m.runningNow}>
                {active}
                <span class="visually-hidden"> {m.runningNow}</span>
              </span>
            )}
          </Link>
        ))}
        <Link href={pagePath('/more')} current={current('/more', p)} class="nav-item nav-more">
          <Icon name="ellipsis" />
          <span>{m.more}</span>
        </Link>
      </nav>
      {several.value && <HostSwitch />}
      <div class="side-foot">
        <ConnectionState />
        {!several.value && (
          <span class="host" title={hostName.value}>
            {hostName.value}
          </span>
        )}
      </div>
    </header>
  );
}
