// What an entry of the audit says beyond its event, in one line.

import type { AuditEntry } from '../../api/types.ts';

/** Told by other columns, or too long for a line. */
const ELSEWHERE = new Set(['event', 'actor', 'prev', 'digest', 'config_digest', 'sha256', 'run', 'run_id', 'id', 'address', 'request_id', 'time_us', 'position', 'host']);

function scalar(v: unknown): string {
  return typeof v === 'string' ? v : typeof v === 'number' || typeof v === 'boolean' ? String(v) : '';
}

/** Names of what it was about first, then the other short members. `run`: what its run is called, when that is known. */
export function summary(e: AuditEntry, run = ''): string {
  const parts: string[] = [];
  const number = scalar(e.data['number']);
  const name = scalar(e.data['name']) || scalar(e.data['flow']) || scalar(e.data['object']) || scalar(e.data['title']);
  if (name !== '') parts.push(name);
  if (name === '' && run !== '') parts.push(run);
  else if (number !== '') parts.push(`#${number}`);
  for (const [k, v] of Object.entries(e.data)) {
    const text = scalar(v);
    if ((k === 'status' && text.startsWith('2')) || (k === 'trigger' && text === 'manual')) continue; // as it should be
    if (text === '' || text.length > 80 || ELSEWHERE.has(k) || k === 'number' || text === name) continue;
    parts.push(`${k}=${text}`);
    if (parts.length > 5) break;
  }
  return parts.join(' ');
}

/** Refusals, wrong secrets, damage: what one looks for. */
export function isBad(e: AuditEntry): boolean {
  return /fail|refus|wrong|denied|died|cut|broken|lost/.test(e.event);
}
