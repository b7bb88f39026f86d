import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { act } from '../../api/http.ts';
import { decodeTokens, type Token } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { date } from '../../lib/format.ts';
import { onAway } from '../../lib/keys.ts';
import { useLoad } from '../../lib/useLoad.ts';
import { Button } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Failed, Problem, Skeleton } from '../../ui/Notice.tsx';
import { Ago } from '../../ui/Time.tsx';
import { Card } from './Card.tsx';
import { NewToken } from './NewToken.tsx';

/** Asks once more. What does nothing has the focus, and stands where the first button was. */
function Sure({ onSure, onClose }: { onSure: () => void; onClose: () => void }) {
  const m = t.value;
  const box = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => box.current?.querySelector<HTMLElement>('[data-autofocus]')?.focus(), []);
  useEffect(() => onAway(() => box.current, onClose), []);
  return (
    <span ref={box} class="settings-value">
      <Button small look="danger-solid" onClick={onSure}>
        {m.revokeSure}
      </Button>
      <Button small autoFocus onClick={onClose}>
        {m.cancel}
      </Button>
    </span>
  );
}

export function Tokens() {
  const m = t.value;
  const tokens = useLoad('/tokens', decodeTokens);
  const making = useSignal(false);
  const sure = useSignal('');
  const error = useSignal<unknown>(null);
  const list = tokens.data.value;

  const revoke = async (token: Token) => {
    error.value = null;
    try {
      await act('DELETE', `/tokens/${encodeURIComponent(token.id)}`);
    } catch (e) {
      error.value = e;
    } finally {
      sure.value = '';
      tokens.reload();
    }
  };

  return (
    <Card
      id="tokens"
      title={m.tokens}
      action={
        list !== null && (
          <Button small icon="plus" onClick={() => (making.value = true)}>
            {m.newToken}
          </Button>
        )
      }
    >
      {tokens.error.value !== null && <Failed error={tokens.error.value} retry={tokens.reload} />}
      {list === null && tokens.error.value === null && <Skeleton rows={2} />}
      {list && list.length === 0 && <p class="muted small">{m.noTokens}</p>}
      <ul class="settings-list">
        {(list ?? []).map((k) => (
          <li key={k.id}>
            <Icon name="key-round" />
            <span class="settings-item">
              <b>{k.name}</b>
              <span class="muted small">
                <span class="mono">{k.scopes.join(' ')}</span> · {k.expires_us > 0 ? m.expiresAt(date(k.expires_us)) : m.expiresNever} ·{' '}
                {k.last_used_us > 0 ? (
                  <>
                    {m.lastUsed} <Ago us={k.last_used_us} />
                  </>
                ) : (
                  m.neverUsed
                )}
              </span>
            </span>
            {sure.value === k.id ? (
              <Sure onSure={() => void revoke(k)} onClose={() => (sure.value = '')} />
            ) : (
              <Button small look="danger" onClick={() => (sure.value = k.id)}>
                {m.revoke}
                <span class="visually-hidden"> {k.name}</span>
              </Button>
            )}
          </li>
        ))}
      </ul>
      {error.value !== null && <Problem error={error.value} />}
      {making.value && <NewToken onMade={tokens.reload} onClose={() => (making.value = false)} />}
    </Card>
  );
}
