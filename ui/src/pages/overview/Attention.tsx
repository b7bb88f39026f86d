import { useState } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { itemTitle } from '../../i18n/values.ts';
import { Button } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { hostTitle, pagePath, withHost } from '../../live/hosts.ts';
import { Link } from '../../ui/Link.tsx';
import { Sent } from '../../ui/Sent.tsx';
import { Ago } from '../../ui/Time.tsx';
import { LevelMark } from './Level.tsx';
import type { Placed } from './status.ts';
import { sectionPath } from '../resources/sections.ts';

const SHOWN = 6;

/** `host`: whose it is, where those of several are together. */
type OnHost = Placed & { host?: string };

function Problem({ section, item, host }: OnHost) {
  const m = t.value;
  const path = `${sectionPath(section)}#${encodeURIComponent(item.id)}`;
  return (
    <li>
      <Link href={host === undefined ? pagePath(path) : withHost(path, host)} class={`card attention-card ${item.level}`}>
        <span class="attention-head">
          <LevelMark level={item.level} quiet />
          <b>{itemTitle(section, item)}</b>
          <span class="muted">{[host === undefined ? '' : hostTitle(host), m.section[section as keyof typeof m.section] ?? section].filter(Boolean).join(' · ')}</span>
          <Icon name="chevron-right" />
        </span>
        <span class="attention-why">
          {item.message === '' ? m.level[item.level] : <Sent said={item} />}
          {item.since_us > 0 && (
            <span class="muted">
              {' · '}
              <Ago us={item.since_us} />
            </span>
          )}
        </span>
      </Link>
    </li>
  );
}

/** What is wrong, before anything else; one quiet line when nothing is. */
export function Attention({ list, timeUs }: { list: readonly OnHost[]; timeUs: number }) {
  const m = t.value;
  const [all, setAll] = useState(false);
  if (list.length === 0) {
    return (
      <p class="all-well" id="attention">
        <LevelMark level="ok" quiet />
        {m.allWell}
        {timeUs > 0 && (
          <>
            {' · '}
            <Ago us={timeUs} />
          </>
        )}
      </p>
    );
  }
  return (
    <section aria-labelledby="attention" class="attention">
      <h2 id="attention" class="section-title">
        {m.needsAttention}
        <span class="count">{list.length}</span>
      </h2>
      <ul>
        {(all ? list : list.slice(0, SHOWN)).map((p) => (
          <Problem key={`${p.host ?? ''}/${p.section}/${p.item.id}`} {...p} />
        ))}
      </ul>
      {list.length > SHOWN && !all && (
        <Button small look="ghost" onClick={() => setAll(true)}>
          {m.showAll(list.length)}
        </Button>
      )}
    </section>
  );
}
