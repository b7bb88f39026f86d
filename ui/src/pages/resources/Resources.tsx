import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { lazy } from '../../lib/lazy.tsx';
import { useListKeys } from '../../lib/listKeys.ts';
import { here } from '../../lib/router.ts';
import { blockedOn, hostTitle, several, shownHost } from '../../live/hosts.ts';
import { live } from '../../live/store.ts';
import { Empty, Skeleton } from '../../ui/Notice.tsx';
import { Away } from '../overview/Away.tsx';
import { LevelMark } from '../overview/Level.tsx';
import { machine, useStatus, worst } from '../overview/status.ts';
import { Filter } from './Filter.tsx';
import { byTitle, groups, matching } from './groups.ts';
import { hostPanels } from './panels.ts';
import { Row } from './Row.tsx';
import { type SectionName } from './sections.ts';
import { useSparks } from './useSparks.ts';

const History = lazy(() => import('./History.tsx').then((m) => m.History));

/** What stands above a group; '' for the only one there is. */
function groupTitle(section: SectionName, name: string, alone: boolean): string {
  const m = t.value;
  if (name === 'timers' && section === 'units') return m.timers;
  if (name !== '') return name;
  return alone ? '' : section === 'docker' ? m.withoutProject : m.section[section];
}

/** Fewer than this are seen at a look. */
const MANY = 12;

/** All things of one kind, problems first. */
export function Resources({ section }: { section: SectionName }) {
  const m = t.value;
  useStatus();
  useListKeys();
  const status = machine.value;
  const items = status?.sections[section] ?? [];
  const spark = useSparks(section, items);
  const wanted = decodeURIComponent(here.value.hash.slice(1));
  useEffect(() => {
    if (wanted !== '') document.getElementById(`item-${wanted}`)?.scrollIntoView({ block: 'center' });
  }, [wanted, items.length > 0]);
  const away = live.value && blockedOn(shownHost.value) !== '';
  const query = useSignal('');
  const byName = useSignal(false);
  const many = items.length >= MANY && section !== 'host';
  const found = many ? matching(items, query.value) : items;
  const parts = many && byName.value ? byTitle(groups(section, found)) : groups(section, found);
  const panels = section === 'host' ? hostPanels(items) : [];
  return (
    <>
      <header class="page-head">
        <div>
          <h1>{m.section[section]}</h1>
          <p class="muted">{(several.value ? hostTitle(shownHost.value) : status?.host) || '\u00a0'}</p>
        </div>
        {many && <Filter query={query} byName={byName} />}
      </header>
      <Away known={status !== null} />
      {panels.length > 0 && <History id={section} panels={panels} />}
      {status === null ? (
        !away && <section class="card list-card">
          <Skeleton rows={5} />
        </section>
      ) : items.length === 0 ? (
        <section class="card list-card">
          <Empty icon="circle-help">{m.nothingWatched}</Empty>
        </section>
      ) : found.length === 0 ? (
        <Empty icon="search">{m.noMatch}</Empty>
      ) : (
        parts.map((g) => {
          const title = groupTitle(section, g.name, parts.length === 1);
          return (
            <section key={g.name} class="card list-card" aria-label={title || m.section[section]}>
              {title !== '' && (
                <header class="card-head">
                  <h2>
                    <LevelMark level={worst(g.items)} quiet /> {title} <span class="count">{g.items.length}</span>
                  </h2>
                </header>
              )}
              <ul class="rows">
                {g.items.map((item) => (
                  <Row key={item.id} section={section} item={item} open={item.id === wanted || section === 'host'} spark={spark(item)} />
                ))}
              </ul>
            </section>
          );
        })
      )}
    </>
  );
}
