import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { bytes, number } from '../../lib/format.ts';
import { IconButton } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { closeFind, nextHit, search, toggleOnly } from './acts.ts';
import type { LogControl } from './control.ts';

/** The search bar: what is looked for, how many there are, the next and the one before. */
export function Find({ control }: { control: LogControl }) {
  const m = t.value;
  const input = useRef<HTMLInputElement>(null);
  // At once, so that what is typed next lands in it.
  useLayoutEffect(() => input.current?.focus(), []);
  const found = control.client.found.value;
  const empty = control.query.value === '';
  const onKey = (e: KeyboardEvent) => {
    if (e.key === 'Escape') closeFind(control);
    else if (e.key === 'Enter' && !e.isComposing) void nextHit(control, !e.shiftKey);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const some = control.hitAt.value > 0 ? m.hitOf(number(control.hitAt.value), number(found.rows)) : m.hits(number(found.rows));
  const count = found.problem !== '' ? m.badPattern : !found.busy ? some : found.rows > 0 ? `${some}…` : m.searching;
  return (
    <>
      <div class="find-row">
        <label class="find">
          <Icon name="search" />
          <input
            ref={input}
            type="text"
            value={control.query.value}
            placeholder={m.findInLog}
            aria-label={m.findInLog}
            spellcheck={false}
            autocapitalize="none"
            autocomplete="off"
            aria-invalid={found.problem !== '' ? 'true' : undefined}
            onInput={(e) => search(control, e.currentTarget.value, control.regex.value)}
            onKeyDown={onKey}
          />
          <button type="button" class="regex" aria-label={m.regex} aria-pressed={control.regex.value} title={m.regex} onClick={() => search(control, control.query.value, !control.regex.value)}>
            .*
          </button>
        </label>
        <button type="button" class="only-hits" aria-pressed={control.client.only.value} disabled={empty} title={`${m.onlyHits} (m)`} onClick={() => toggleOnly(control)}>
          <Icon name="list-filter" />
          <span class="visually-hidden">{m.onlyHits}</span>
        </button>
        <span class="find-count mono" role="status" aria-busy={found.busy}>
          {!empty && count}
        </span>
        <IconButton icon="chevron-up" label={m.previousHit} keys="N" disabled={found.rows === 0} onClick={() => void nextHit(control, false)} />
        <IconButton icon="chevron-down" label={m.nextHit} keys="n" disabled={found.rows === 0} onClick={() => void nextHit(control, true)} />
        <IconButton icon="x" label={m.closeFind} keys="Esc" onClick={() => closeFind(control)} />
      </div>
      <FindNote control={control} />
    </>
  );
}

/** What the search has not covered. */
function FindNote({ control }: { control: LogControl }) {
  const m = t.value;
  const found = control.client.found.value;
  const { end } = control.client.size.value;
  if (control.query.value === '' || found.problem !== '') return null;
  if (found.truncated > 0) return <p class="find-note">{m.searchTruncated(number(found.rows), number(found.truncated))}</p>;
  if (found.busy || found.searched >= end) return null;
  return <p class="find-note">{m.searchedPart(bytes(found.searched), bytes(end))}</p>;
}
