import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { CatalogEntry } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { score } from '../../lib/fuzzy.ts';
import { here } from '../../lib/router.ts';
import { useKeys } from '../../lib/keys.ts';
import { useListKeys } from '../../lib/listKeys.ts';
import { chosenHost, entryKey, hosts, hostTitle, several } from '../../live/hosts.ts';
import { agentAway, catalog, catalogError } from '../../live/store.ts';
import { Segmented } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Empty, Problem, Skeleton } from '../../ui/Notice.tsx';
import { EntryRow } from './EntryRow.tsx';
import { runForm } from './start.ts';

type Show = 'all' | 'flow' | 'command' | 'danger';

/** Commands without a group stand under the first part of their name: `pg.dump` under pg. Those of several machines stand
 * machine by machine, in the order of `order`. */
export function grouped(entries: readonly CatalogEntry[], flowsName: string, order: readonly string[] = []): { host: string; name: string; entries: CatalogEntry[] }[] {
  const groups = new Map<string, { host: string; name: string; entries: CatalogEntry[] }>();
  for (const e of entries) {
    const name = e.group || (e.kind === 'flow' ? flowsName : e.id.split('.')[0]!);
    const host = order.length > 1 ? e.host : '';
    const key = `${host}\n${name}`;
    const group = groups.get(key);
    if (group) group.entries.push(e);
    else groups.set(key, { host, name, entries: [e] });
  }
  return [...groups.values()].sort((a, b) => order.indexOf(a.host) - order.indexOf(b.host));
}

function matches(e: CatalogEntry, query: string, show: Show): boolean {
  if (show === 'danger' ? e.danger !== 'high' : show !== 'all' && e.kind !== show) return false;
  return query === '' || score(query, `${e.title} ${e.id} ${e.group}`) > 0 || e.description.toLowerCase().includes(query.toLowerCase());
}

function List({ entries }: { entries: readonly CatalogEntry[] }) {
  const order = hosts.value.map((h) => h.host);
  return (
    <>
      {grouped(entries, t.value.flows, order).map(({ host, name, entries: list }) => {
        const title = host === '' ? name : `${hostTitle(host)} · ${name}`;
        return (
          <section key={`${host} ${name}`} class="entry-group" aria-label={title}>
            <h2 class="section-title">{title}</h2>
            <ul class="card rows">
              {list.map((e) => (
                <EntryRow key={entryKey(e)} entry={e} />
              ))}
            </ul>
          </section>
        );
      })}
    </>
  );
}

/** An address may name what is to be started: ?run=pg.dump, ?flow=backup. (Not as a path: ids hold
 * dots, and paths with a dot are files.) */
function named(query: string): { kind: string; id: string } | null {
  const q = new URLSearchParams(query);
  const flow = q.get('flow');
  const command = q.get('run');
  return flow ? { kind: 'flow', id: flow } : command ? { kind: 'command', id: command } : null;
}

export function Commands() {
  const m = t.value;
  const query = useSignal('');
  const show = useSignal<Show>('all');
  const filter = useRef<HTMLInputElement>(null);
  const c = catalog.value;
  const found = useComputed(() => (catalog.value?.entries ?? []).filter((e) => (chosenHost.value === '' || e.host === chosenHost.value) && matches(e, query.value.trim(), show.value)));

  useListKeys();
  useEffect(() => useKeys({ '/': () => filter.current?.focus() }), []);
  const address = here.value.query;
  useEffect(() => {
    const wanted = named(address);
    const e = wanted && c?.entries.find((x) => x.id === wanted.id && x.kind === wanted.kind && (chosenHost.peek() === '' || x.host === chosenHost.peek()));
    // Only the form: an address never starts anything by itself.
    if (e) runForm.value = { entry: e, values: null };
  }, [address, c !== null]);

  return (
    <>
      <header class="page-head">
        <h1>{m.commandsAndFlows}</h1>
        <div class="page-tools">
          <label class="filter">
            <Icon name="search" />
            <input ref={filter} type="search" value={query.value} onInput={(e) => (query.value = e.currentTarget.value)} placeholder={m.filter} aria-label={m.filter} />
            <kbd>/</kbd>
          </label>
          <Segmented
            name="show"
            label={m.show}
            value={show.value}
            onChange={(v) => (show.value = v as Show)}
            options={[
              ['all', m.all],
              ['flow', m.flows],
              ['command', m.commands],
              ['danger', m.dangerous],
            ]}
          />
        </div>
      </header>
      {(c?.refused ?? [])
        .filter((r) => chosenHost.value === '' || r.host === chosenHost.value)
        .map((r) => (
          <p key={r.host} class="note warn">
            <Icon name="triangle-alert" />
            <span>
              {several.value && `${hostTitle(r.host)}: `}
              {m.configRefused} <span lang="en">{r.error}</span>
            </span>
          </p>
        ))}
      {catalogError.value ? (
        <Problem error={catalogError.value} />
      ) : c === null ? (
        agentAway.value ? <Empty icon="plug-zap">{m.catalogUnknown}</Empty> : <div class="card"><Skeleton rows={8} /></div>
      ) : found.value.length > 0 ? (
        <List entries={found.value} />
      ) : (
        <Empty icon="terminal">{c.entries.length === 0 ? m.noCommands : m.noMatch}</Empty>
      )}
    </>
  );
}
