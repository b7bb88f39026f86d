import type { AuditEntry } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { full } from '../../lib/format.ts';
import { withHost } from '../../live/hosts.ts';
import { Button } from '../../ui/Button.tsx';
import { Dialog } from '../../ui/Dialog.tsx';
import { Link } from '../../ui/Link.tsx';
import { copyText } from '../../ui/toast.ts';

/** All that is known of one entry. */
export function AuditDetails({ entry, onClose }: { entry: AuditEntry; onClose: () => void }) {
  const m = t.value;
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
    <Dialog title={entry.event} onClose={onClose} class="audit-details">
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
          {JSON.stringify(entry.data, null, 2)}
        </pre>
      </div>
      <footer class="dialog-foot">
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
