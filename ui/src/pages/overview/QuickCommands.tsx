import type { CatalogEntry, Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { chosenHost, entryKey, hostKey, hostTitle, pagePath, several } from '../../live/hosts.ts';
import { catalog, catalogError, runs } from '../../live/store.ts';
import { Link } from '../../ui/Link.tsx';
import { Empty, Problem, Skeleton } from '../../ui/Notice.tsx';
import { EntryIcon, RunButton } from '../commands/EntryRow.tsx';

const SHOWN = 8;

/** What was started most lately comes first, then flows, then commands as configured. */
export function quick(entries: readonly CatalogEntry[], past: readonly Run[]): CatalogEntry[] {
  const last = new Map<string, number>();
  past.forEach((r, i) => {
    const key = `${r.kind} ${r.name} ${hostKey(r.host)}`;
    if (!last.has(key)) last.set(key, past.length - i);
  });
  return entries
    .map((e, i) => ({ e, i, recent: last.get(`${e.kind} ${e.id} ${hostKey(e.host)}`) ?? 0 }))
    .sort((a, b) => b.recent - a.recent || a.i - b.i)
    .slice(0, SHOWN)
    .map((x) => x.e);
}

export function QuickCommands() {
  const m = t.value;
  const c = catalog.value;
  const host = chosenHost.value;
  const entries = (c?.entries ?? []).filter((e) => host === '' || e.host === host);
  return (
    <section class="card list-card" aria-labelledby="quick">
      <header class="card-head">
        <h2 id="quick">{m.quickCommands}</h2>
        <Link href={pagePath('/commands')} class="card-link">
          {m.allCommands}
        </Link>
      </header>
      {catalogError.value ? (
        <Problem error={catalogError.value} />
      ) : c === null ? (
        <Skeleton rows={5} />
      ) : entries.length === 0 ? (
        <Empty icon="terminal">{m.noCommands}</Empty>
      ) : (
        <ul class="rows">
          {quick(entries, runs.value ?? []).map((e) => (
            <li key={entryKey(e)} class="row quick-row">
              <EntryIcon entry={e} />
              <span class="quick-name">
                {e.title || e.id}
                {several.value && host === '' && <span class="tag">{hostTitle(e.host)}</span>}
              </span>
              <RunButton entry={e} />
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
