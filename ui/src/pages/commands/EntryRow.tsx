import { useComputed } from '@preact/signals';
import type { CatalogEntry } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { blockedOn, entryKey, runPath, sameHost } from '../../live/hosts.ts';
import { runs } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Link } from '../../ui/Link.tsx';
import { Status } from '../../ui/Status.tsx';
import { Ago, Took } from '../../ui/Time.tsx';
import { needsForm, openRunForm, starting } from './start.ts';

const OWN = new Set(['activity', 'archive', 'cpu', 'database', 'download', 'git-branch', 'git-fork', 'hard-drive', 'layers', 'network', 'package', 'palette', 'refresh-cw', 'server', 'shield-check', 'trash-2', 'upload', 'zap']);

export function EntryIcon({ entry }: { entry: CatalogEntry }) {
  const own = OWN.has(entry.icon) ? entry.icon : entry.kind === 'flow' ? 'workflow' : 'terminal';
  return <Icon name={own} class="entry-icon" />;
}

/** `named`: what it starts is not said beside it. */
export function RunButton({ entry, primary, named }: { entry: CatalogEntry; primary?: boolean; named?: boolean }) {
  const m = t.value;
  const blocked = blockedOn(entry.host);
  return (
    <Button
      small
      look={primary ? 'primary' : 'secondary'}
      icon={named ? 'play' : undefined}
      disabled={blocked !== ''}
      title={blocked || undefined}
      busy={starting.value === entryKey(entry)}
      onClick={() => openRunForm(entry)}
    >
      <span class={named ? 'visually-hidden' : ''}>{needsForm(entry) ? m.runDots : m.run}</span>
      <span class={named ? '' : 'visually-hidden'}> {entry.title || entry.id}</span>
    </Button>
  );
}

function Last({ entry }: { entry: CatalogEntry }) {
  const last = useComputed(() => runs.value?.find((r) => r.kind === entry.kind && r.name === entry.id && sameHost(r.host, entry.host)));
  const run = last.value;
  if (!run) return <span class="entry-last" />;
  return (
    <Link href={runPath(run)} class="entry-last" title={t.value.lastRun}>
      <Status status={run.status} quiet />
      <Ago us={run.created_us} />
      <Took of={run} />
    </Link>
  );
}

export function EntryRow({ entry }: { entry: CatalogEntry }) {
  const m = t.value;
  return (
    <li class="row entry-row" data-keys=".btn">
      <EntryIcon entry={entry} />
      <div class="entry-text">
        <p class="entry-title">
          <b>{entry.title || entry.id}</b>
          <span class="mono entry-id">{entry.id}</span>
          {entry.danger === 'high' && (
            <span class="tag danger">
              <Icon name="triangle-alert" />
              {m.dangerous}
            </span>
          )}
          {entry.kind === 'flow' && <span class="tag">{m.nSteps(entry.steps.length)}</span>}
        </p>
        {entry.description !== '' && <p class="entry-description">{entry.description}</p>}
      </div>
      <Last entry={entry} />
      <RunButton entry={entry} />
    </li>
  );
}
