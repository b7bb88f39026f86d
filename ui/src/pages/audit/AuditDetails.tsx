import { useLayoutEffect } from 'preact/hooks';
import type { AuditEntry } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { full } from '../../lib/format.ts';
import { singleKeys } from '../../lib/keys.ts';
import { withHost } from '../../live/hosts.ts';
import { Button, IconButton } from '../../ui/Button.tsx';
import { Dialog } from '../../ui/Dialog.tsx';
import { Link } from '../../ui/Link.tsx';
import { copyText } from '../../ui/toast.ts';

interface Props {
  entry: AuditEntry;
  onClose: () => void;
  /** To the entry before or after this one; undefined where there is none. */
  newer: (() => void) | undefined;
  older: (() => void) | undefined;
}

/** All that is known of one entry. */
export function AuditDetails({ entry, onClose, newer, older }: Props) {
  const m = t.value;
  // Before the next picture: a key that comes right after it was closed would open it again.
  useLayoutEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if (!singleKeys.value || e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.key === 'j') older?.();
      if (e.key === 'k') newer?.();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [newer, older]);
  const json = JSON.stringify(entry, null, 2);
  const facts: [string, string][] = [
    [m.time, full(entry.time_us)],
    [m.auditSource, m.source[entry.source]],
    [m.host, entry.host],
    [m.actor, entry.actor],
    [m.address, entry.address],
    [m.requestId, entry.request_id],
  ];
  return (
    <Dialog title={entry.event} onClose={onClose} class="drawer">
      <div class="dialog-body stack">
        <dl class="facts">
          {facts
            .filter(([, v]) => v !== '')
            .map(([k, v]) => (
              <div key={k}>
                <dt>{k}</dt>
                <dd class="mono">{v}</dd>
              </div>
            ))}
        </dl>
        <pre class="code" tabIndex={0} aria-label={m.details}>
          {json}
        </pre>
      </div>
      <footer class="dialog-foot">
        <IconButton icon="chevron-up" label={m.newerEntry} keys="k" disabled={!newer} onClick={newer} />
        <IconButton icon="chevron-down" label={m.olderEntry} keys="j" disabled={!older} onClick={older} />
        <span class="grow" />
        {entry.run !== '' && (
          <Link href={withHost(`/runs/${entry.run}`, entry.host)} class="btn secondary">
            {m.openTheRun}
          </Link>
        )}
        <Button icon="copy" onClick={() => void copyText(json, m.copied)}>
          {m.copy}
        </Button>
      </footer>
    </Dialog>
  );
}
