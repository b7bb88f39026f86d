import { NAV } from '../../app/nav.ts';
import { ConnectionState } from '../../app/Sidebar.tsx';
import { t } from '../../i18n/index.ts';
import { pagePath, several } from '../../live/hosts.ts';
import { hostName } from '../../live/store.ts';
import { Icon } from '../../ui/Icon.tsx';
import { Link } from '../../ui/Link.tsx';

/** On a phone: what the bar at the bottom has no room for. */
export function More() {
  const m = t.value;
  return (
    <>
      <header class="page-head">
        <h1>{m.more}</h1>
        <ConnectionState />
      </header>
      <ul class="card rows">
        {NAV.filter((n) => n.wide).map((n) => (
          <li key={n.href} class="row">
            <Link href={pagePath(n.href)} class="more-row">
              <Icon name={n.icon} />
              <b>{m[n.word]}</b>
              <Icon name="chevron-right" />
            </Link>
          </li>
        ))}
      </ul>
      {!several.value && <p class="muted small">{hostName.value}</p>}
    </>
  );
}
