// When the overview knows all that it shows. Until then none of it is drawn: what comes later would push away what is
// there already.

import { computed, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { chosenHost, hostKey, hosts, several, shownKey } from '../../live/hosts.ts';
import { connection, runs, system } from '../../live/store.ts';

/** A machine that says nothing does not keep the runs back for longer: what it says then comes below them, where it
 * moves nothing. */
const PATIENCE_MS = 2000;

/** Keys of machines whose status has come, or cannot be had. Filled by status.ts. */
export const answered = signal<ReadonlySet<string>>(new Set());
export const waited = signal(false);

/** All machines are on the page. */
export const whole = computed(() => several.value && chosenHost.value === '');

const shownKeys = computed(() => (whole.value ? hosts.value.map((h) => hostKey(h.host)) : [shownKey.value]));
const lists = computed(() => runs.value !== null && system.value !== null);
const lost = computed(() => connection.value.kind === 'waiting' || connection.value.kind === 'offline');

/** All that was asked for is there. */
const complete = computed(() => lists.value && shownKeys.value.every((key) => answered.value.has(key)));
export const asked = computed(() => !shownKeys.value.every((key) => answered.value.has(key)));

export const ready = computed(() => waited.value || complete.value);

export function usePatience(): void {
  const keys = shownKeys.value.join('\n');
  useEffect(() => {
    waited.value = false;
    return () => void (waited.value = false);
  }, [keys]);
  useEffect(() => {
    const end = () => void (waited.value ||= !complete.peek());
    if (lost.value) end();
    if (lost.value || !lists.value) return undefined;
    const timer = setTimeout(end, PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [keys, lists.value, lost.value]);
}
