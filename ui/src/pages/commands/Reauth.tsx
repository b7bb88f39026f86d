import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { reauth, session } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { describedBy, Field, TextInput } from '../../ui/Field.tsx';
import { errorText } from '../../ui/Notice.tsx';

/** The password again, inside the form it is asked for. */
export function Reauth({ label, onDone }: { label: string; onDone: () => void }) {
  const m = t.value;
  const password = useSignal('');
  const code = useSignal('');
  const busy = useSignal(false);
  const error = useSignal('');
  const box = useRef<HTMLDivElement>(null);

  useEffect(() => {
    box.current?.scrollIntoView({ block: 'nearest' });
    box.current?.querySelector('input')?.focus();
  }, []);

  const confirm = async () => {
    if (busy.value) return;
    busy.value = true;
    error.value = '';
    try {
      await reauth(password.value, code.value.replace(/\s/g, ''));
      onDone();
    } catch (e) {
      error.value = e instanceof ApiError && e.status === 401 ? (session.value?.totp ? m.loginRefusedCode : m.passwordWrong) : errorText(e);
    } finally {
      busy.value = false;
    }
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.key !== 'Enter') return;
    e.preventDefault();
    void confirm();
  };

  return (
    <div class="reauth stack" ref={box} onKeyDown={onKey}>
      <p>{m.reauthNote}</p>
      <Field id="reauth-password" label={m.password} error={error.value}>
        <TextInput id="reauth-password" type="password" autocomplete="current-password" value={password.value} onInput={(e) => (password.value = e.currentTarget.value)} invalid={error.value !== ''} described={describedBy('reauth-password', '', error.value)} />
      </Field>
      {session.value?.totp && (
        <Field id="reauth-code" label={m.code}>
          <TextInput id="reauth-code" inputMode="numeric" autocomplete="one-time-code" value={code.value} onInput={(e) => (code.value = e.currentTarget.value)} />
        </Field>
      )}
      <Button look="danger-solid" icon="lock" busy={busy.value} onClick={() => void confirm()}>
        {label}
      </Button>
    </div>
  );
}
