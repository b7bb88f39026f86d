import { t } from '../../i18n/index.ts';
import { number } from '../../lib/format.ts';
import { Icon } from '../../ui/Icon.tsx';
import type { LogControl } from './control.ts';
import { pending } from './follow.ts';

/** The way back to the end, with what came meanwhile. */
export function Pill({ control }: { control: LogControl }) {
  const m = t.value;
  const list = control.list.value;
  // Of a log that has ended, the end in view is all there is to come to.
  if (!list || list.follow.value.on || (control.client.ended.value && list.atEnd.value)) return null;
  const n = pending(list.follow.value, control.client.size.value.lines);
  return (
    <button type="button" class="follow-pill" onClick={() => list.toEnd()}>
      <Icon name="arrow-down-to-line" />
      {control.client.ended.value ? m.toEnd : m.follow}
      {n > 0 && <span class="mono"> · {m.newLines(number(n))}</span>}
    </button>
  );
}
