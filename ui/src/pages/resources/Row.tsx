import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { itemTitle } from '../../i18n/values.ts';
import { clock } from '../../lib/format.ts';
import { lazy } from '../../lib/lazy.tsx';
import { findEntry, shownHost, shownKey } from '../../live/hosts.ts';
import { Button } from '../../ui/Button.tsx';
import { Ago } from '../../ui/Time.tsx';
import { RunButton } from '../commands/EntryRow.tsx';
import { LevelMark } from '../overview/Level.tsx';
import { Sparkline } from '../overview/Sparkline.tsx';
import { stale, type Item, type Point } from '../overview/status.ts';
import { keyFact } from './facts.tsx';
import { itemPanels } from './panels.ts';
import { type SectionName } from './sections.ts';
import { valueTexts } from './values.ts';

const History = lazy(() => import('./History.tsx').then((m) => m.History));
const Tail = lazy(() => import('./Tail.tsx').then((m) => m.Tail));

/** What would help, as status.yml says: the same button and form as on the commands page. */
export function ActionButton({ item }: { item: Item }) {
  const entry = item.action === '' ? undefined : findEntry('', item.action, shownHost.value);
  return entry ? <RunButton entry={entry} primary={item.level !== 'ok'} named /> : null;
}

/** The topic of what it writes; '' for what writes nothing. */
function tailTopic(section: SectionName, item: Item): string {
  if (section === 'docker') return item.values['container_id'] === undefined ? '' : `tail/docker/${item.id}`;
  return section === 'units' ? `tail/unit/${item.id}` : '';
}

interface RowProps {
  section: SectionName;
  item: Item;
  open: boolean;
  /** Of the last hour; it takes no room on a section without lines. */
  spark: readonly Point[] | null;
}

export function Row({ section, item, open, spark }: RowProps) {
  const m = t.value;
  const shown = useSignal(open);
  const tail = useSignal(false);
  const history = useSignal(false);
  const details = useRef<HTMLDetailsElement>(null);
  const values = valueTexts(item.values);
  const topic = tailTopic(section, item);
  const panels = section === 'host' ? [] : itemPanels(section, item);
  // Of a trouble one asks when it began, of what is well when that was last seen.
  const when = item.level === 'ok' ? item.checked_us : item.since_us;
  return (
    <li class={`resource ${stale.value ? 'stale' : ''}`} id={`item-${item.id}`} data-item data-keys="summary">
      <details ref={details} open={open} onToggle={() => (shown.value = details.current!.open)}>
        <summary class={spark ? 'with-spark' : ''}>
          <LevelMark level={item.level} quiet />
          <b>{itemTitle(section, item)}</b>
          <span class="resource-why">{keyFact(section, item)}</span>
          {spark && <Sparkline lines={[spark]} top={null} span={3_600_000} />}
          <span class="muted resource-when">{stale.value ? m.noDataSince(clock(item.checked_us)) : when > 0 && <Ago us={when} />}</span>
        </summary>
        {shown.value && (
          <>
            <dl class="resource-values">
              {values.map(([name, text]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{text}</dd>
                </div>
              ))}
            </dl>
            <div class="resource-actions">
              <ActionButton item={item} />
              {topic !== '' && (
                <Button small icon="scroll-text" pressed={tail.value} onClick={() => (tail.value = !tail.value)}>
                  {m.liveLog}
                </Button>
              )}
              {panels.length > 0 && (
                <Button small icon="activity" pressed={history.value} onClick={() => (history.value = !history.value)}>
                  {m.overTime}
                </Button>
              )}
            </div>
            {tail.value && <Tail key={`${topic} ${shownKey.value}`} topic={topic} host={shownKey.value} title={itemTitle(section, item)} onClose={() => (tail.value = false)} />}
            {history.value && <History id={item.id} panels={panels} />}
          </>
        )}
      </details>
    </li>
  );
}
