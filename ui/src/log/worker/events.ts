// Event records of a journal that the log shows between its lines.

export interface JournalEvent {
  name: string;
  fields: Readonly<Record<string, unknown>>;
}

const NONE: JournalEvent = { name: '', fields: {} };
const utf8 = new TextDecoder();

/** One event's JSON. A payload that is none is an event without a name: it is not shown. */
export function parseEvent(payload: Uint8Array): JournalEvent {
  try {
    const fields = JSON.parse(utf8.decode(payload)) as Record<string, unknown> | null; // or anything else: then it has no name
    return typeof fields?.['event'] === 'string' ? { name: fields['event'], fields } : NONE;
  } catch {
    return NONE;
  }
}

const SHOWN = new Set([
  'step.started',
  'step.retrying',
  'step.waiting',
  'step.approved',
  'step.timed_out',
  'run.timed_out',
  'run.cancel_requested',
  'run.disk_full',
  'run.disk_ok',
  'output.truncated',
  'children.killed',
  'run.finished',
]);

export function showsRow(e: JournalEvent): boolean {
  if (e.name === 'step.finished') return e.fields['status'] !== 'succeeded';
  return SHOWN.has(e.name);
}

export function text(e: JournalEvent, field: string): string {
  const v = e.fields[field];
  return typeof v === 'string' ? v : typeof v === 'number' ? String(v) : '';
}

export function number(e: JournalEvent, field: string): number | null {
  const v = e.fields[field];
  return typeof v === 'number' && Number.isFinite(v) ? v : null;
}
