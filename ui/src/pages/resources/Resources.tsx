import { useEffect } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { here } from '../../lib/router.ts';
import { clock } from '../../lib/format.ts';
import { Empty, Skeleton } from '../../ui/Notice.tsx';
import { Ago } from '../../ui/Time.tsx';
import { LevelMark } from '../overview/Level.tsx';
import { bySeverity, machine, stale, useStatus, type Item } from '../overview/status.ts';
import { type SectionName } from './sections.ts';
import { valueTexts } from './values.ts';

function Row({ item, open }: { item: Item; open: boolean }) {
  const m = t.value;
  const values = valueTexts(item.values);
  // Of a trouble one asks when it began, of what is well when that was last seen.
  const when = item.level === 'ok' ? item.checked_us : item.since_us;
  return (
    <li class={`resource ${stale.value ? 'stale' : ''}`} id={`item-${item.id}`}>
      <details open={open}>
        <summary>
          <LevelMark level={item.level} quiet />
          <b>{item.title}</b>
          <span class="resource-why">{item.message}</span>
          <span class="muted resource-when">{stale.value ? m.noDataSince(clock(item.checked_us)) : when > 0 && <Ago us={when} />}</span>
        </summary>
        <dl class="resource-values">
          {values.map(([name, text]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      </details>
    </li>
  );
}

/** All things of one kind, problems first. */
export function Resources({ section }: { section: SectionName }) {
  const m = t.value;
  useStatus();
  const status = machine.value;
  const items = status?.sections[section] ?? [];
  const wanted = decodeURIComponent(here.value.hash.slice(1));
  useEffect(() => {
    if (wanted !== '') document.getElementById(`item-${wanted}`)?.scrollIntoView({ block: 'center' });
  }, [wanted, items.length > 0]);
  return (
    <>
      <header class="page-head">
        <div>
          <h1>{m.section[section]}</h1>
          <p class="muted">{status?.host || '\u00a0'}</p>
        </div>
      </header>
      <section class="card list-card">
        {status === null ? (
          <Skeleton rows={5} />
        ) : items.length === 0 ? (
          <Empty icon="circle-help">{m.nothingWatched}</Empty>
        ) : (
          <ul class="rows">
            {bySeverity(items.map((item) => ({ item }))).map(({ item }) => (
              <Row key={item.id} item={item} open={item.id === wanted || section === 'host'} />
            ))}
          </ul>
        )}
      </section>
    </>
  );
}
