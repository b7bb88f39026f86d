// Starting a command or flow: at once when nothing has to be said, else through the form.

import { signal } from '@preact/signals';
import type { CatalogEntry } from '../../api/types.ts';
import { ApiError } from '../../api/http.ts';
import { go } from '../../lib/router.ts';
import { entryKey, runPath, several } from '../../live/hosts.ts';
import { startRun } from '../../live/store.ts';
import { errorText } from '../../ui/Notice.tsx';
import { say } from '../../ui/toast.ts';

export interface FormRequest {
  entry: CatalogEntry;
  /** Values to begin with: those of the run that is repeated. */
  values: Readonly<Record<string, string>> | null;
}

/** The form that is open. */
export const runForm = signal<FormRequest | null>(null);
/** The entry that is being started without a form, by its key. */
export const starting = signal('');

/** What a request to start says of the machine: of one there is nothing to say. */
export const hostMember = (e: CatalogEntry): { host?: string } => (several.value ? { host: e.host } : {});

export function newKey(): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
}

export function needsForm(e: CatalogEntry): boolean {
  return e.inputs.length > 0 || e.confirm || e.danger === 'high';
}

export function openRunForm(entry: CatalogEntry, values: FormRequest['values'] = null): void {
  if (needsForm(entry)) runForm.value = { entry, values };
  else void startNow(entry);
}

async function startNow(entry: CatalogEntry): Promise<void> {
  const name = entryKey(entry);
  if (starting.value !== '') return;
  starting.value = name;
  try {
    const run = await startRun({ kind: entry.kind, id: entry.id, ...hostMember(entry), inputs: {} }, newKey());
    go(runPath(run));
  } catch (e) {
    // What the catalogue did not say, the answer may ask for.
    if (e instanceof ApiError && (e.code === 'reauth_required' || e.status === 422)) runForm.value = { entry, values: null };
    else say(errorText(e));
  } finally {
    starting.value = '';
  }
}
