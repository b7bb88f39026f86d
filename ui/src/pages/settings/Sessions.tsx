import { useSignal } from '@preact/signals';
import { act } from '../../api/http.ts';
import { decodeSessions, type SessionInfo } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { useLoad } from '../../lib/useLoad.ts';
import { Button } from '../../ui/Button.tsx';
import { Failed, Problem, Skeleton } from '../../ui/Notice.tsx';
import { Ago } from '../../ui/Time.tsx';
import { browserName } from './browserName.ts';
import { Card } from './Card.tsx';

/** Who is signed in where; any of them can be ended. */
export function Sessions() {
  const m = t.value;
  const sessions = useLoad('/sessions', decodeSessions);
  const busy = useSignal('');
  const error = useSignal<unknown>(null);
  const list = [...(sessions.data.value ?? [])].sort((a, b) => Number(b.current) - Number(a.current) || b.seen_us - a.seen_us);
  const others = list.filter((s) => !s.current);

  const end = async (which: readonly SessionInfo[], what: string) => {
    busy.value = what;
    error.value = null;
    try {
      for (const s of which) await act('DELETE', `/sessions/${encodeURIComponent(s.id)}`);
    } catch (e) {
      error.value = e;
    } finally {
      busy.value = '';
      sessions.reload();
    }
  };

  return (
    <Card
      id="sessions"
      title={m.sessions}
      action={
        others.length > 1 && (
          <Button small busy={busy.value === 'all'} onClick={() => void end(others, 'all')}>
            {m.signOutOthers}
          </Button>
        )
      }
    >
      {sessions.error.value !== null && <Failed error={sessions.error.value} retry={sessions.reload} />}
      {sessions.data.value === null && sessions.error.value === null && <Skeleton rows={2} />}
      <ul class="settings-list">
        {list.map((s) => (
          <li key={s.id}>
            <span class={`dot ${s.current ? 'ok' : 'quiet'}`} aria-hidden="true" />
            <span class="settings-item">
              <b>{browserName(s.user_agent) || m.unknownBrowser}</b>
              <span class="muted small">
                {s.current ? m.thisBrowser : <Ago us={s.seen_us} />} {s.address !== '' && <span class="mono">· {s.address}</span>}
              </span>
            </span>
            {!s.current && (
              <Button small busy={busy.value === s.id} onClick={() => void end([s], s.id)}>
                {m.signOut}
                <span class="visually-hidden"> {browserName(s.user_agent) || m.unknownBrowser}</span>
              </Button>
            )}
          </li>
        ))}
      </ul>
      {error.value !== null && <Problem error={error.value} />}
    </Card>
  );
}
