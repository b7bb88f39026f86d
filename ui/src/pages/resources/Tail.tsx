// What a container or a unit writes now: the log viewer on a topic of its own. Nothing of it is kept.

import { useComputed, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { bytes, number } from '../../lib/format.ts';
import { darkNow } from '../../lib/theme.ts';
import { LogControl } from '../../log/control.ts';
import type { ListLook } from '../../log/list.ts';
import { Pill } from '../../log/Pill.tsx';
import { nextTimes, timestamps, toggleWrap, wrapLines } from '../../log/prefs.ts';
import { IconButton } from '../../ui/Button.tsx';

interface Props {
  /** tail/docker/… or tail/unit/… */
  topic: string;
  title: string;
  onClose: () => void;
}

export function Tail({ topic, title, onClose }: Props) {
  const m = t.value;
  const scroll = useRef<HTMLDivElement>(null);
  const control = useMemo(() => new LogControl('', topic), [topic]);
  const look = useComputed<ListLook>(() => ({ dark: darkNow.value, wrap: wrapLines.value, times: timestamps.value, startUs: 0, steps: [] }));
  const { client } = control;
  useEffect(() => {
    control.mount(scroll.current!, look.peek());
    return () => control.close();
  }, [control]);
  useSignalEffect(() => control.list.value?.setLook(look.value));
  const size = client.size.value;
  const nothing = size.rows > 0 ? '' : client.problem.value !== '' ? client.problemText.value || m.logFailed : client.ended.value ? m.logEmpty : client.ready.value ? m.logWaiting : '';
  return (
    <section class="log tail" aria-label={m.liveLogOf(title)}>
      <div class="log-bar">
        <div class="log-tools" role="toolbar" aria-label={m.logTools}>
          <b>{m.liveLog}</b>
          <span class="log-size mono">{m.linesAndBytes(size.lines, number(size.lines), bytes(size.end))}</span>
          <span class="grow" />
          <IconButton icon="wrap-text" label={m.wrapLines} pressed={wrapLines.value} onClick={toggleWrap} />
          <IconButton icon="clock" label={`${m.timestamps}: ${m.times[timestamps.value]}`} pressed={timestamps.value !== 'off'} onClick={nextTimes} />
          <IconButton icon="x" label={m.closeLog} onClick={onClose} />
        </div>
      </div>
      <div class="log-body" translate={false}>
        <div ref={scroll} class={`log-scroll ${timestamps.value === 'off' ? '' : 'with-times'}`} tabIndex={0} role="log" aria-live="off" aria-label={m.logOutput} />
        {nothing !== '' && <p class="log-nothing">{nothing}</p>}
        <Pill control={control} />
      </div>
      {client.ended.value && size.rows > 0 && <p class="muted tail-end">{m.tailEnded}</p>}
    </section>
  );
}
