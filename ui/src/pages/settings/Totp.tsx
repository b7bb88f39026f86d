import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { ApiError, post } from '../../api/http.ts';
import { decodeTotp } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { base32 } from '../../lib/base32.ts';
import { hostName, session } from '../../live/store.ts';
import { Button, IconButton } from '../../ui/Button.tsx';
import { describedBy, Field, TextInput } from '../../ui/Field.tsx';
import { isMissing, Problem } from '../../ui/Notice.tsx';
import { QrCode } from '../../ui/QrCode.tsx';
import { copyText } from '../../ui/toast.ts';
import { Reauth } from '../commands/Reauth.tsx';
import { Card, Row } from './Card.tsx';

/** A secret made here, proved by a code, then a line for the dashboard's env file: it is not stored by the page. */
function Enrolment({ onClose }: { onClose: () => void }) {
  const m = t.value;
  const secret = useMemo(() => base32(crypto.getRandomValues(new Uint8Array(20))), []);
  const code = useSignal('');
  const busy = useSignal(false);
  const askPassword = useSignal(false);
  const error = useSignal<unknown>(null);
  const wrong = useSignal(false);
  const line = useSignal('');
  // What was pressed is gone: on with the code.
  const box = useRef<HTMLFormElement>(null);
  useEffect(() => box.current?.querySelector('input')?.focus(), []);
  const label = `Ops Dashboard:${session.value?.user ?? 'admin'}@${hostName.value || location.hostname}`;
  const uri = `otpauth://totp/${encodeURIComponent(label)}?secret=${secret}&issuer=${encodeURIComponent('Ops Dashboard')}`;

  const verify = async () => {
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    wrong.value = false;
    try {
      const answer = await post('/totp/verify', decodeTotp, { body: { secret, code: code.value.replace(/\s/g, '') } });
      askPassword.value = false;
      if (answer.ok) line.value = answer.line;
      else wrong.value = true;
    } catch (e) {
      if (e instanceof ApiError && e.code === 'reauth_required') askPassword.value = true;
      else error.value = e;
    } finally {
      busy.value = false;
    }
  };

  if (line.value !== '') {
    return (
      <div class="stack" role="status">
        <p>{m.totpLine}</p>
        <div class="token-secret">
          <code class="mono">{line.value}</code>
          <IconButton icon="copy" label={m.copy} onClick={() => void copyText(line.value, m.copied)} />
        </div>
        <p class="muted small">{m.totpAfter}</p>
        <div class="totp-actions">
          <Button onClick={onClose}>{m.totpDone}</Button>
        </div>
      </div>
    );
  }
  return (
    <form
      ref={box}
      class="totp"
      onSubmit={(e) => {
        e.preventDefault();
        void verify();
      }}
    >
      <QrCode text={uri} label={m.totpQr} />
      <div class="stack">
        <p class="small">{m.totpScan}</p>
        <div class="token-secret">
          <code class="mono">{secret.replace(/(.{4})(?=.)/g, '$1 ')}</code>
          <IconButton icon="copy" label={m.copy} onClick={() => void copyText(secret, m.copied)} />
        </div>
        <Field id="totp-code" label={m.code} hint={m.codeHint} error={wrong.value ? m.codeWrong : ''}>
          <TextInput id="totp-code" described={describedBy('totp-code', true, wrong.value)} inputMode="numeric" autocomplete="one-time-code" mono value={code.value} invalid={wrong.value} onInput={(e) => (code.value = e.currentTarget.value)} />
        </Field>
        {askPassword.value && <Reauth label={m.verify} onDone={() => void verify()} />}
        {error.value !== null && (isMissing(error.value) ? <p class="muted small">{m.notOffered}</p> : <Problem error={error.value} />)}
        {!askPassword.value && (
          <div class="totp-actions">
            <Button onClick={onClose}>{m.cancel}</Button>
            <Button type="submit" look="primary" busy={busy.value}>
              {m.verify}
            </Button>
          </div>
        )}
      </div>
    </form>
  );
}

export function Totp() {
  const m = t.value;
  const enrolling = useSignal(false);
  const on = session.value?.totp ?? false;
  // Whoever had to sign in with a code has put the line where it belongs.
  useEffect(() => void (enrolling.value = false), [on]);
  return (
    <Card id="security" title={m.security}>
      <Row label={m.secondFactor}>
        {enrolling.value ? null : (
          <span class="settings-value">
            <span class={`status pill ${on ? 'ok' : 'quiet'}`}>{on ? m.isOn : m.isOff}</span>
            <Button small onClick={() => (enrolling.value = true)}>
              {on ? m.totpNew : m.totpSetUp}
            </Button>
          </span>
        )}
      </Row>
      {enrolling.value && <Enrolment onClose={() => (enrolling.value = false)} />}
      <p class="muted small">{m.passwordAdvice}</p>
    </Card>
  );
}
