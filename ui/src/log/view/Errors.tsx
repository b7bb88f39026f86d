import { useComputed } from '@preact/signals';
import { t } from '../../i18n/index.ts';
import { number } from '../../lib/format.ts';
import { IconButton } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { nextError } from './acts.ts';
import type { LogControl } from './control.ts';

// In the same file: they are wanted together, when the log stands.
export { Minimap } from './Minimap.tsx';

/** How many errors were found, and the ways to them. */
export function Errors({ control }: { control: LogControl }) {
  const m = t.value;
  // Those of what was never here are not counted yet.
  const errors = useComputed(() => {
    const { errors: n, errorsComplete, held, end } = control.client.size.value;
    return n > 0 ? number(n) + (errorsComplete || held >= end ? '' : '+') : '';
  }).value;
  if (errors === '') return null;
  return (
    <span class="errors">
      <button type="button" class="errors-count" onClick={() => void nextError(control, true)} title={`${m.nextError} (e)`}>
        <Icon name="triangle-alert" />
        <span class="mono">{errors}</span>
        <span class="visually-hidden"> {m.nextError}</span>
      </button>
      <IconButton icon="chevron-up" class="wide-only" label={m.previousError} keys="E" onClick={() => void nextError(control, false)} />
      <IconButton icon="chevron-down" class="wide-only" label={m.nextError} keys="e" onClick={() => void nextError(control, true)} />
    </span>
  );
}
