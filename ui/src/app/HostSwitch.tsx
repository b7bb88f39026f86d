import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/index.ts';
import { here } from '../lib/router.ts';
import { chosenHost, hosts, hostTitle, shownHost, withHost } from '../live/hosts.ts';
import { isAway, type HostState } from '../live/system.ts';
import { sectionAt } from '../pages/resources/sections.ts';
import { Link } from '../ui/Link.tsx';

/** Of these pages there is one for each machine and one for all; of the others all are looked at from the overview. */
const FOR_ALL = new Set(['/', '/commands', '/history', '/schedule', '/audit', '/more', '/settings']);
/** What an address says of one machine only. */
const OF_ONE = ['host', 'run', 'flow'];

/** The same page, of another machine; '' for all. */
export function pageOf(host: string, path: string, query: string): string {
  const q = new URLSearchParams(query);
  for (const name of OF_ONE) q.delete(name);
  const rest = q.toString();
  const same = path.startsWith('/runs/') || (host === '' && !FOR_ALL.has(path)) ? '/' : path;
  return withHost(rest === '' || same !== path ? same : `${same}?${rest}`, host);
}

export const hostTone = (h: HostState): 'ok' | 'err' | 'quiet' => (h.state === 'connected' ? 'ok' : isAway(h) ? 'err' : 'quiet');

/** Which machine the pages are about. */
export function HostSwitch() {
  const m = t.value;
  const { path, query } = here.value;
  // A page that there is for each machine only is about the primary one when none is named.
  const chosen = sectionAt(path) ? shownHost.value : chosenHost.value;
  const box = useRef<HTMLElement>(null);
  // On a phone they are in a row that scrolls.
  useEffect(() => box.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }), [chosen]);
  return (
    <nav ref={box} class="hosts" aria-label={m.hosts}>
      <Link href={pageOf('', path, query)} current={chosen === ''} class="nav-item host-item">
        <span class="dot none" aria-hidden="true" />
        <span>{m.allHosts}</span>
      </Link>
      {hosts.value.map((h) => (
        <Link key={h.host} href={pageOf(h.host, path, query)} current={chosen === h.host} class="nav-item host-item" title={h.title === '' ? undefined : h.host}>
          <span class={`dot ${hostTone(h)}`} aria-hidden="true" />
          <span class="host-name">{hostTitle(h.host)}</span>
          <span class="visually-hidden"> {m.agentState[h.state]}</span>
        </Link>
      ))}
    </nav>
  );
}
