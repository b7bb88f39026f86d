import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { go, path } from '../../lib/router.ts';
import { hosts, hostTitle, sameHost, several } from '../../live/hosts.ts';
import { catalog } from '../../live/store.ts';
import { Segmented } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { addressOf, type Filter, type Wanted } from './wanted.ts';

/** A moment after somebody stopped typing. */
const TYPING_MS = 250;

export function Filters({ wanted }: { wanted: Wanted }) {
  const m = t.value;
  const typed = useSignal(wanted.q);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    // Back and forward change the address under the field.
    if (typed.value.trim() !== wanted.q) typed.value = wanted.q;
  }, [wanted.q]);
  const set = (change: Partial<Wanted>) => go(addressOf({ ...wanted, ...change }), true);
  // What several machines have is there once.
  const entries = [...new Map((catalog.value?.entries ?? []).filter((e) => wanted.host === '' || sameHost(e.host, wanted.host)).map((e) => [e.id, e])).values()];
  const known = wanted.name === '' || entries.some((e) => e.id === wanted.name);
  return (
    <div class="page-tools">
      <label class="filter">
        <Icon name="search" />
        <span class="visually-hidden">{m.filterRuns}</span>
        <input
          type="search"
          placeholder={m.filterRuns}
          value={typed.value}
          onInput={(e) => {
            typed.value = e.currentTarget.value;
            clearTimeout(timer.current);
            timer.current = setTimeout(() => {
              // Who has gone elsewhere meanwhile stays there.
              if (path.peek() === '/history') set({ q: typed.value.trim() });
            }, TYPING_MS);
          }}
        />
      </label>
      {several.value && (
        <label class="wide-only">
          <span class="visually-hidden">{m.host}</span>
          <select class="input filter-select" value={wanted.host} onChange={(e) => set({ host: e.currentTarget.value })}>
            <option value="">{m.anyHost}</option>
            {hosts.value.map((h) => (
              <option key={h.host} value={h.host}>
                {hostTitle(h.host)}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        <span class="visually-hidden">{m.command}</span>
        <select class="input filter-select" value={wanted.name} onChange={(e) => set({ name: e.currentTarget.value })}>
          <option value="">{m.anyCommand}</option>
          {!known && <option value={wanted.name}>{wanted.name}</option>}
          {entries.map((e) => (
            <option key={e.id} value={e.id}>
              {e.title || e.id}
            </option>
          ))}
        </select>
      </label>
      <Segmented
        name="status"
        label={m.show}
        value={wanted.status}
        onChange={(v) => set({ status: v as Filter })}
        options={[
          ['all', m.all],
          ['active', m.status.running],
          ['succeeded', m.status.succeeded],
          ['failed', m.status.failed],
        ]}
      />
    </div>
  );
}
