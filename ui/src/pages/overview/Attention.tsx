import { useState } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { itemTitle } from '../../i18n/values.ts';
import { Button } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Link } from '../../ui/Link.tsx';
import { Ago } from '../../ui/Time.tsx';
import { LevelMark } from './Level.tsx';
import { machine, problems, type Placed } from './status.ts';
import { sectionPath } from '../resources/sections.ts';

const SHOWN = 6;

function Problem({ section, item }: Placed) {
  const m = t.value;
  return (
    <li>
      <Link href={`${sectionPath(section)}#${encodeURIComponent(item.id)}`} class={`card attention-card ${item.level}`}>
        <span class="attention-head">
          <LevelMark level={item.level} quiet />
          <b>{itemTitle(section, item)}</b>
          <span class="muted">{m.section[section as keyof typeof m.section] ?? section}</span>
          <Icon name="chevron-right" />
        </span>
        <span class="attention-why">
          {item.message || m.level[item.level]}
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
export function Attention() {
  const m = t.value;
  const [all, setAll] = useState(false);
  const status = machine.value;
  if (!status || Object.keys(status.sections).length === 0) return null;
  const list = problems(status);
  if (list.length === 0) {
    return (
      <p class="all-well">
        <LevelMark level="ok" quiet />
        {m.allWell}
        {status.time_us > 0 && (
          <>
            {' · '}
            <Ago us={status.time_us} />
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
          <Problem key={`${p.section}/${p.item.id}`} {...p} />
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
