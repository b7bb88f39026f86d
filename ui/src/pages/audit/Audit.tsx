import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { get } from '../../api/http.ts';
import { decodeAudit, type AuditEntry, type AuditPage } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { clock, now } from '../../lib/format.ts';
import { useListKeys } from '../../lib/listKeys.ts';
import { hostTitle, several } from '../../live/hosts.ts';
import { go, here } from '../../lib/router.ts';
import { actorName } from '../../ui/runText.ts';
import { Button } from '../../ui/Button.tsx';
import { Days } from '../../ui/Days.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Empty, Failed, Skeleton } from '../../ui/Notice.tsx';
import { AuditDetails } from './AuditDetails.tsx';
import { useRunNames } from './runNames.ts';
import { isBad, summary } from './summary.ts';

const PAGE = 100;

interface Wanted {
  event: string;
  actor: string;
  /** Of one machine; '' for all. */
  host: string;
}

function wantedOf(query: string): Wanted {
  const p = new URLSearchParams(query);
  return { event: p.get('event') ?? '', actor: p.get('actor') ?? '', host: p.get('host') ?? '' };
}

function queryOf(w: Wanted, more: Record<string, string> = {}): string {
  const p = new URLSearchParams(more);
  if (w.event !== '') p.set('event', w.event);
  if (w.actor !== '') p.set('actor', w.actor);
  if (w.host !== '') p.set('host', w.host);
  const s = p.toString();
  return s === '' ? '' : `?${s}`;
}

function Row({ entry, run, open }: { entry: AuditEntry; run: string; open: () => void }) {
  return (
    <li class="row">
      <button type="button" class="audit-row" onClick={open}>
        <span class="audit-time mono">{clock(entry.time_us)}</span>
        <span class={`audit-event mono ${isBad(entry) ? 'bad' : ''}`}>{entry.event}</span>
        {several.value && <span class="audit-host">{entry.host === '' ? '' : hostTitle(entry.host)}</span>}
        <span class="audit-what">{summary(entry, run)}</span>
        <span class="audit-who">{[actorName(entry.actor), entry.address].filter(Boolean).join(' · ')}</span>
      </button>
    </li>
  );
}

function Chain({ chain }: { chain: AuditPage['chain'] }) {
  const m = t.value;
  const [icon, tone] = chain === 'verified' ? ['shield-check', 'ok'] : chain === 'broken' ? ['shield-alert', 'err'] : ['shield-check', 'quiet'];
  return (
    <span class={`status pill ${tone}`} title={m.chainNote}>
      <Icon name={icon} />
      {m.chain[chain]}
    </span>
  );
}

/** Who did what, and what happened to the agent. */
export function Audit() {
  const m = t.value;
  const wanted = wantedOf(here.value.query);
  const address = queryOf(wanted);
  const pages = useSignal<AuditPage[] | null>(null);
  const error = useSignal<unknown>(null);
  const busy = useSignal(false);
  const listed = useComputed(() => (pages.value ?? []).flatMap((p) => p.entries));
  const names = useRunNames(listed).value;
  const entries = listed.value;
  useListKeys();
  const shown = useSignal<AuditEntry | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const load = async (before: string, signal?: AbortSignal) => {
    busy.value = true;
    error.value = null;
    try {
      const page = await get(`/audit${queryOf(wanted, { limit: String(PAGE), ...(before === '' ? {} : { before }) })}`, decodeAudit, signal ? { signal } : {});
      if (!signal?.aborted) pages.value = before === '' ? [page] : [...(pages.value ?? []), page];
    } catch (e) {
      if (!signal?.aborted) error.value = e;
    } finally {
      busy.value = false;
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    pages.value = null;
    void load('', abort.signal);
    return () => {
      abort.abort();
      clearTimeout(timer.current);
    };
  }, [address]);

  const set = (change: Partial<Wanted>) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => go(`/audit${queryOf({ ...wantedOf(location.search), ...change })}`, true), 250);
  };
  /** To the entry before or after the one that is shown. */
  const step = (by: 1 | -1) => {
    const to = entries[entries.indexOf(shown.value!) + by];
    return to && (() => void (shown.value = to));
  };
  const all = pages.value;
  const next = all?.[all.length - 1]?.next ?? '';
  return (
    <>
      <header class="page-head">
        <h1>{m.audit}</h1>
        <div class="page-tools">
          {all?.[0] && <Chain chain={all[0].chain} />}
          <label class="filter">
            <Icon name="search" />
            <input type="search" aria-label={m.auditEvent} placeholder={m.auditEvent} defaultValue={wanted.event} onInput={(e) => set({ event: e.currentTarget.value.trim() })} />
          </label>
          <label class="filter">
            <Icon name="user" />
            <input type="search" aria-label={m.auditActor} placeholder={m.auditActor} defaultValue={wanted.actor} onInput={(e) => set({ actor: e.currentTarget.value.trim() })} />
          </label>
          <a class="btn secondary" href={`/api/v1/audit${queryOf(wanted, { format: 'ndjson' })}`} download="audit.ndjson">
            <Icon name="download" />
            {m.export}
          </a>
        </div>
      </header>
      {all === null && error.value === null && (
        <div class="card">
          <Skeleton rows={10} />
        </div>
      )}
      {all && entries.length === 0 && <Empty icon="scroll-text">{address === '' ? m.auditEmpty : m.noMatch}</Empty>}
      <Days list={entries} timeOf={(e) => e.time_us} nowMs={now.peek()} row={(e) => <Row key={`${e.source} ${e.host} ${e.id}`} entry={e} run={names.get(e.run) ?? ''} open={() => (shown.value = e)} />} />
      {error.value !== null && <Failed error={error.value} retry={() => void load(next)} />}
      {next !== '' && error.value === null && (
        <p class="center">
          <Button busy={busy.value} onClick={() => void load(next)}>
            {m.loadOlderEntries}
          </Button>
        </p>
      )}
      {shown.value && <AuditDetails entry={shown.value} onClose={() => (shown.value = null)} newer={step(-1)} older={step(1)} />}
    </>
  );
}
