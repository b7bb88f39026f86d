import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/index.ts';
import { bytes, number } from '../lib/format.ts';
import { IconButton } from '../ui/Button.tsx';
import { Segmented } from '../ui/Field.tsx';
import { Icon } from '../ui/Icon.tsx';
import type { LogControl } from './control.ts';
import { STREAMS, type Stream } from './messages.ts';
import { nextTimes, timestamps, toggleWrap, wrapLines } from './prefs.ts';

interface Props {
  control: LogControl;
  download: string;
  raw: string;
  /** How many steps the run has. */
  steps: number;
}

function Find({ control }: { control: LogControl }) {
  const m = t.value;
  const input = useRef<HTMLInputElement>(null);
  // At once, so that what is typed next lands in it.
  useLayoutEffect(() => input.current?.focus(), []);
  const found = control.client.found.value;
  const empty = control.query.value === '';
  const onKey = (e: KeyboardEvent) => {
    if (e.key === 'Escape') control.closeFind();
    else if (e.key === 'Enter' && !e.isComposing) void control.nextHit(!e.shiftKey);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };
  const count = found.problem !== '' ? m.badPattern : control.hitAt.value > 0 ? m.hitOf(number(control.hitAt.value), number(found.rows)) : m.hits(number(found.rows));
  return (
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
          onInput={(e) => control.search(e.currentTarget.value, control.regex.value)}
          onKeyDown={onKey}
        />
        <button type="button" class="regex" aria-label={m.regex} aria-pressed={control.regex.value} title={m.regex} onClick={() => control.search(control.query.value, !control.regex.value)}>
          .*
        </button>
      </label>
      <span class="find-count mono" role="status">
        {!empty && count}
      </span>
      <IconButton icon="chevron-up" label={m.previousHit} keys="N" disabled={found.rows === 0} onClick={() => void control.nextHit(false)} />
      <IconButton icon="chevron-down" label={m.nextHit} keys="n" disabled={found.rows === 0} onClick={() => void control.nextHit(true)} />
      <IconButton icon="x" label={m.closeFind} keys="Esc" onClick={() => control.closeFind()} />
    </div>
  );
}

function More({ control, download, raw, steps }: Props) {
  const m = t.value;
  const open = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open.value) return undefined;
    const away = (e: Event) => {
      if (e instanceof KeyboardEvent ? e.key === 'Escape' : !box.current?.contains(e.target as Node)) open.value = false;
    };
    addEventListener('pointerdown', away);
    addEventListener('keydown', away);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', away);
    };
  }, [open.value]);
  const act = (fn: () => void) => () => {
    open.value = false;
    fn();
  };
  return (
    <div class="menu-box" ref={box}>
      <IconButton icon="ellipsis" label={m.more} expanded={open.value} onClick={() => (open.value = !open.value)} />
      {open.value && (
        <div class="menu">
          <button type="button" class="only-phone" onClick={act(toggleWrap)} aria-pressed={wrapLines.value}>
            <Icon name="wrap-text" />
            {m.wrapLines}
          </button>
          <button type="button" class="only-phone" onClick={act(nextTimes)}>
            <Icon name="clock" />
            {m.timestamps}: {m.times[timestamps.value]}
          </button>
          {steps > 1 && (
            <button type="button" onClick={act(() => control.fold(control.client.folded.value.size > 0 ? new Set() : new Set(Array.from({ length: steps }, (_, i) => i))))}>
              <Icon name={control.client.folded.value.size > 0 ? 'unfold-vertical' : 'fold-vertical'} />
              {control.client.folded.value.size > 0 ? m.unfoldAll : m.foldAll}
            </button>
          )}
          <div class="menu-streams">
            <Segmented name="streams" label={m.streams} value={control.client.streams.value} options={STREAMS.map((s) => [s, m.stream[s]] as const)} onChange={(v) => control.setStreams(v as Stream)} />
          </div>
          <button type="button" onClick={act(() => control.list.value?.toTop())}>
            <Icon name="arrow-up" />
            {m.toTop}
          </button>
          <button type="button" onClick={act(() => void control.copyLink())}>
            <Icon name="link" />
            {m.copyLink}
          </button>
          <button type="button" onClick={act(() => void control.copyPicked())}>
            <Icon name="copy" />
            {m.copyLines}
          </button>
          <a href={download} onClick={() => (open.value = false)}>
            <Icon name="download" />
            {m.downloadLog}
          </a>
          <a href={raw} target="_blank" rel="noreferrer" onClick={() => (open.value = false)}>
            <Icon name="external-link" />
            {m.openText}
          </a>
          <p class="menu-note">
            <i class="stderr-mark" aria-hidden="true" />
            {m.stderrNote}
          </p>
        </div>
      )}
    </div>
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

export function Toolbar(props: Props) {
  const m = t.value;
  const { control } = props;
  const size = control.client.size.value;
  const errors = size.errors;
  const streams = control.client.streams.value;
  return (
    <div class="log-bar">
      <div class="log-tools" role="toolbar" aria-label={m.logTools}>
        {control.findOpen.value ? (
          <Find control={control} />
        ) : (
          <button type="button" class="find-button" onClick={() => control.openFind()} title={`${m.findInLog} (/)`}>
            <Icon name="search" />
            <span>{m.findInLog}</span>
            <kbd aria-hidden="true">/</kbd>
          </button>
        )}
        <span class="log-size mono">{m.linesAndBytes(size.lines, number(size.lines), bytes(size.end))}</span>
        {streams !== 'both' && (
          <button type="button" class="stream-chip" onClick={() => control.setStreams('both')}>
            {m.onlyStream(m.stream[streams])}
            <Icon name="x" />
          </button>
        )}
        <span class="grow" />
        {errors > 0 && (
          <span class="errors">
            <button type="button" class="errors-count" onClick={() => void control.nextError(true)} title={`${m.nextError} (e)`}>
              <Icon name="triangle-alert" />
              <span class="mono">{number(errors)}</span>
              <span class="visually-hidden"> {m.nextError}</span>
            </button>
            <IconButton icon="chevron-up" class="wide-only" label={m.previousError} keys="E" onClick={() => void control.nextError(false)} />
            <IconButton icon="chevron-down" class="wide-only" label={m.nextError} keys="e" onClick={() => void control.nextError(true)} />
          </span>
        )}
        <IconButton icon="wrap-text" class="wide-only" label={m.wrapLines} keys="w" pressed={wrapLines.value} onClick={toggleWrap} />
        <IconButton icon="clock" class="wide-only" label={`${m.timestamps}: ${m.times[timestamps.value]}`} keys="t" pressed={timestamps.value !== 'off'} onClick={nextTimes} />
        <IconButton icon={control.focusMode.value ? 'minimize' : 'maximize'} label={m.focusMode} keys="z" pressed={control.focusMode.value} onClick={() => (control.focusMode.value = !control.focusMode.value)} />
        <More {...props} />
        {control.findOpen.value && <FindNote control={control} />}
      </div>
    </div>
  );
}
