import { signal, useComputed, useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { soon } from '../../lib/lazy.tsx';
import { catalog, runs } from '../../live/store.ts';
import { machine, useStatus } from '../../pages/overview/status.ts';
import { Icon } from '../../ui/Icon.tsx';
import { paletteOpen } from '../state.ts';
import type { Entry } from './entries.ts';

/** What it offers comes when the browser has nothing better to do; what is typed before is not lost. */
const index = signal<typeof import('./entries.ts') | null>(null);
const fetchIndex = () =>
  import('./entries.ts').then(
    (code) => void (index.value = code),
    () => undefined,
  );
soon(() => void fetchIndex());

/** Opens at once: no animation, nothing is waited for. */
export function Palette() {
  const m = t.value;
  const dialog = useRef<HTMLDialogElement>(null);
  const query = useSignal('');
  const chosen = useSignal(0);
  const entries = useComputed(() => index.value?.allEntries(t.value, catalog.value, runs.value, machine.value) ?? []);
  const hits = useComputed(() => index.value?.search(query.value, entries.value) ?? []);
  const list = hits.value;
  const at = Math.min(chosen.value, list.length - 1);
  const groups = { run: m.run, goto: m.goTo, recent: m.recentRuns, resources: m.resources, settings: m.settings };

  useStatus();

  useLayoutEffect(() => {
    const before = document.activeElement;
    const d = dialog.current!;
    d.showModal();
    return () => {
      d.close(); // while it is open nothing else takes the focus
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  useEffect(() => {
    if (!index.peek()) void fetchIndex();
  }, []);
  useEffect(() => {
    document.getElementById(`palette-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at]);

  const close = () => (paletteOpen.value = false);
  const run = (e: Entry | undefined) => {
    if (!e) return;
    close();
    // After the dialog is gone, so that what opens next gets the focus.
    setTimeout(e.act);
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault();
      const n = Math.max(1, list.length);
      chosen.value = (at + (e.key === 'ArrowDown' ? 1 : n - 1)) % n;
    } else if (e.key === 'Enter' && !e.isComposing) {
      e.preventDefault();
      run(list[at]);
    }
  };

  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label={m.palette}
      onCancel={(e) => {
        e.preventDefault();
        close();
      }}
      onClose={(e) => e.currentTarget.isConnected && close()}
      onClick={(e) => e.target === dialog.current && close()}
    >
      <div class="palette-input">
        <Icon name="search" />
        <input
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-autocomplete="list"
          aria-activedescendant={list.length > 0 ? `palette-${at}` : undefined}
          aria-label={m.palette}
          placeholder={m.paletteHint}
          autocomplete="off"
          spellcheck={false}
          value={query.value}
          onInput={(e) => {
            query.value = e.currentTarget.value;
            chosen.value = 0;
          }}
          onKeyDown={onKey}
        />
        <kbd>esc</kbd>
      </div>
      <ul id="palette-list" role="listbox" aria-label={m.results}>
        {list.map((e, i) => (
          <li key={e.key} id={`palette-${i}`} role="option" aria-selected={i === at} onPointerMove={() => (chosen.value = i)} onClick={() => run(e)}>
            <Icon name={e.icon} />
            <span class="palette-label">{e.label}</span>
            {e.detail !== '' && <span class="palette-detail mono">{e.detail}</span>}
            <span class="palette-group">{groups[e.group]}</span>
          </li>
        ))}
      </ul>
      {list.length === 0 && index.value && (
        <p class="palette-none" role="status">
          {m.noResults}
        </p>
      )}
    </dialog>
  );
}
