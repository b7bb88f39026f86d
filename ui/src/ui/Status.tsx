import { useComputed } from '@preact/signals';
import type { AnyStatus } from '../api/types.ts';
import { t } from '../i18n/index.ts';
import { now } from '../lib/format.ts';
import { Icon } from './Icon.tsx';

/** Those of what goes on are of a log's rows; elsewhere they turn. */
export const STATUS_ICONS: Record<AnyStatus, string> = {
  queued: 'circle-dashed',
  pending: 'circle-dashed',
  running: 'circle-play',
  retrying: 'rotate-cw',
  waiting: 'circle-pause',
  succeeded: 'circle-check',
  failed: 'circle-x',
  cancelled: 'ban',
  timed_out: 'clock',
  lost: 'unplug',
  skipped: 'circle-slash',
};

export function tone(s: AnyStatus): 'ok' | 'err' | 'run' | 'warn' | 'quiet' {
  if (s === 'succeeded') return 'ok';
  if (s === 'failed' || s === 'timed_out' || s === 'lost') return 'err';
  if (s === 'running') return 'run';
  if (s === 'waiting' || s === 'retrying') return 'warn';
  return 'quiet';
}

/** Whether a run or a step is why something has to be looked at. */
export const wentWrong = ({ status }: { status: AnyStatus }): boolean => tone(status) === 'err';

/** Moves an eighth of a turn with the clock's tick: nothing animates in between. */
function Turning() {
  const turn = useComputed(() => `rotate(${(Math.floor(now.value / 1000) % 8) * 45} 12 12)`);
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <circle cx="12" cy="12" r="9.25" opacity="0.28" />
      <path d="M12 2.75a9.25 9.25 0 0 1 9.25 9.25" transform={turn} />
    </svg>
  );
}

function Sign({ status }: { status: AnyStatus }) {
  return status === 'running' || status === 'retrying' ? <Turning /> : <Icon name={STATUS_ICONS[status]} />;
}

export function StatusIcon({ status }: { status: AnyStatus }) {
  return (
    <span class={`status ${tone(status)}`}>
      <Sign status={status} />
    </span>
  );
}

/** Icon and word; with `quiet` the word is for screen readers. */
export function Status({ status, quiet, pill }: { status: AnyStatus; quiet?: boolean; pill?: boolean }) {
  const word = t.value.status[status];
  return (
    <span class={`status ${tone(status)} ${pill ? 'pill' : ''}`}>
      <Sign status={status} />
      <span class={quiet ? 'visually-hidden' : ''}>{word}</span>
    </span>
  );
}
