import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { onAway } from '../../lib/keys.ts';
import { IconButton } from '../../ui/Button.tsx';
import { Segmented } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { copyLink, copyPicked, readLast } from './acts.ts';
import type { LogControl } from './control.ts';
import { STREAMS, type Stream } from '../messages.ts';

export interface ToolbarProps {
  control: LogControl;
  /** Addresses of the whole log; '': it is kept nowhere. */
  download: string;
  raw: string;
  /** How many steps the run has. */
  steps: number;
}

/** What is wanted now and then. */
export function More({ control, download, raw, steps }: ToolbarProps) {
  const m = t.value;
  const { nextTimes, timestamps, toggleWrap, wrapLines } = control.prefs;
  const open = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => (open.value ? onAway(() => box.current, () => (open.value = false)) : undefined), [open.value]);
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
          {raw !== '' && (
            <button type="button" onClick={act(() => void copyLink(control))}>
              <Icon name="link" />
              {m.copyLink}
            </button>
          )}
          <button type="button" onClick={act(() => void copyPicked(control))}>
            <Icon name="copy" />
            {m.copyLines}
          </button>
          <button type="button" onClick={act(() => void readLast(control))}>
            <Icon name="scroll-text" />
            {m.readLast}
          </button>
          {raw !== '' && (
            <>
              <a href={download} onClick={() => (open.value = false)}>
                <Icon name="download" />
                {m.downloadLog}
              </a>
              <a href={raw} target="_blank" rel="noreferrer" onClick={() => (open.value = false)}>
                <Icon name="external-link" />
                {m.openText}
              </a>
            </>
          )}
          <p class="menu-note">
            <i class="stderr-mark" aria-hidden="true" />
            {m.stderrNote}
          </p>
        </div>
      )}
    </div>
  );
}
