import { t } from '../../i18n/index.ts';
import { bytes, number } from '../../lib/format.ts';
import { lazy } from '../../lib/lazy.tsx';
import { IconButton } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import type { LogControl } from './control.ts';
import type { ToolbarProps } from './More.tsx';
import { nextTimes, timestamps, toggleWrap, wrapLines } from './prefs.ts';

export const Minimap = lazy(() => import('./Errors.tsx').then((m) => m.Minimap));
const Errors = lazy(() => import('./Errors.tsx').then((m) => m.Errors));
export const Find = lazy(() => import('./Find.tsx').then((m) => m.Find), { soon: true });
const More = lazy(() => import('./More.tsx').then((m) => m.More), { soon: true });

/** By itself: it changes with each picture of a stream, the rest does not. */
function LogSize({ control }: { control: LogControl }) {
  const { lines, end } = control.client.size.value;
  return <span class="log-size mono">{t.value.linesAndBytes(lines, number(lines), bytes(end))}</span>;
}

export function Toolbar(props: ToolbarProps) {
  const m = t.value;
  const { control } = props;
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
        <LogSize control={control} />
        {streams !== 'both' && (
          <button type="button" class="stream-chip" onClick={() => control.setStreams('both')}>
            {m.onlyStream(m.stream[streams])}
            <Icon name="x" />
          </button>
        )}
        <Errors control={control} />
        <IconButton icon="wrap-text" class="wide-only" label={m.wrapLines} keys="w" pressed={wrapLines.value} onClick={toggleWrap} />
        <IconButton icon="clock" class="wide-only" label={`${m.timestamps}: ${m.times[timestamps.value]}`} keys="t" pressed={timestamps.value !== 'off'} onClick={nextTimes} />
        <IconButton icon={control.focusMode.value ? 'minimize' : 'maximize'} label={m.focusMode} keys="z" pressed={control.focusMode.value} onClick={() => (control.focusMode.value = !control.focusMode.value)} />
        <More {...props} />
      </div>
    </div>
  );
}
