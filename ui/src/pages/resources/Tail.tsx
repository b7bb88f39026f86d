// What a container or a unit writes now: the log viewer on a topic of its own, with the tools a run's log has. Nothing
// of it is kept, so there is nothing to link to or to download.

import { useComputed, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { lang, problemWords, t } from '../../i18n/index.ts';
import { darkNow } from '../../lib/theme.ts';
import { LogControl } from '../../log/view/control.ts';
import type { ListLook } from '../../log/view/list.ts';
import { Pill } from '../../log/view/Pill.tsx';
import { timestamps, wrapLines } from '../../log/view/prefs.ts';
import { Minimap, Toolbar } from '../../log/view/Toolbar.tsx';
import { IconButton } from '../../ui/Button.tsx';
import { useTailKeys } from './tailKeys.ts';

interface Props {
  /** tail/docker/… or tail/unit/… */
  topic: string;
  /** '' for the primary machine. */
  host: string;
  title: string;
  onClose: () => void;
}

/** Why there are no lines. */
function Nothing({ control }: { control: LogControl }) {
  const m = t.value;
  const { client } = control;
  if (client.size.value.rows > 0) return null;
  if (client.problem.value !== '') {
    const said = client.problemText.value;
    const { words, sent } = problemWords(client.problemCode, said) ?? { words: said === '' ? m.logFailed : '', sent: said };
    return (
      <p class="log-nothing">
        {words} {sent !== '' && <span lang="en">{sent}</span>}
      </p>
    );
  }
  return <p class="log-nothing">{client.only.value ? m.noMatch : client.ended.value ? m.logEmpty : client.ready.value ? m.logWaiting : ''}</p>;
}

export function Tail({ topic, host, title, onClose }: Props) {
  const m = t.value;
  const box = useRef<HTMLElement>(null);
  const scroll = useRef<HTMLDivElement>(null);
  const control = useMemo(() => new LogControl('', topic, host), [topic, host]);
  const look = useComputed<ListLook>(() => ({ dark: darkNow.value, wrap: wrapLines.value, times: timestamps.value, startUs: 0, steps: [], lang: lang.value }));
  const { client } = control;
  useEffect(() => {
    control.mount(scroll.current!, look.peek());
    return () => control.close();
  }, [control]);
  useSignalEffect(() => control.list.value?.setLook(look.value));
  useTailKeys(control, box);
  return (
    <section ref={box} class={`log tail ${control.focusMode.value ? 'focus' : ''}`} aria-label={m.liveLogOf(title)}>
      <header class="tail-head">
        <b>{m.liveLog}</b>
        <span class="muted">{title}</span>
        <span class="grow" />
        <IconButton icon="x" label={m.closeLog} onClick={onClose} />
      </header>
      <Toolbar control={control} download="" raw="" steps={0} />
      <div class="log-body" translate={false}>
        <div ref={scroll} class={`log-scroll ${timestamps.value === 'off' ? '' : 'with-times'}`} tabIndex={0} role="log" aria-live="off" aria-label={m.logOutput} />
        <Nothing control={control} />
        <Minimap control={control} />
        <Pill control={control} />
      </div>
      <p class="visually-hidden" role="status" aria-live="polite">
        {control.list.value?.cursorText.value ?? ''}
      </p>
      {client.ended.value && client.size.value.rows > 0 && <p class="muted tail-end">{m.tailEnded}</p>}
    </section>
  );
}
