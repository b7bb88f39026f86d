import { useSignal } from '@preact/signals';
import { ApiError, post } from '../../api/http.ts';
import { decodeNewToken } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { dashboardNow } from '../../lib/clock.ts';
import { catalog } from '../../live/store.ts';
import { Button, IconButton } from '../../ui/Button.tsx';
import { Dialog } from '../../ui/Dialog.tsx';
import { describedBy, Field, TextInput } from '../../ui/Field.tsx';
import { Problem } from '../../ui/Notice.tsx';
import { copyText } from '../../ui/toast.ts';
import { Reauth } from '../commands/Reauth.tsx';

const DAYS = [7, 30, 90, 365, 0] as const;
const DAY_US = 86_400_000_000;

/** Makes one, and shows its secret this once. */
export function NewToken({ onMade, onClose }: { onMade: () => void; onClose: () => void }) {
  const m = t.value;
  const name = useSignal('');
  const scope = useSignal('read');
  const days = useSignal('90');
  const busy = useSignal(false);
  const askPassword = useSignal(false);
  const error = useSignal<unknown>(null);
  const secret = useSignal('');

  const make = async () => {
    if (busy.value || name.value.trim() === '') return;
    busy.value = true;
    error.value = null;
    const body = {
      name: name.value.trim(),
      scopes: [scope.value],
      expires_us: days.value === '0' ? null : dashboardNow() * 1000 + Number(days.value) * DAY_US,
    };
    try {
      secret.value = (await post('/tokens', decodeNewToken, { body })).secret;
      askPassword.value = false;
      onMade();
    } catch (e) {
      if (e instanceof ApiError && e.code === 'reauth_required') askPassword.value = true;
      else error.value = e;
    } finally {
      busy.value = false;
    }
  };

  if (secret.value !== '') {
    return (
      <Dialog title={m.tokenMade} note={m.tokenOnce} onClose={onClose}>
        <div class="dialog-body stack">
          <div class="token-secret">
            <code class="mono">{secret.value}</code>
            <IconButton icon="copy" label={m.copy} onClick={() => void copyText(secret.value, m.copied)} />
          </div>
        </div>
        <footer class="dialog-foot">
          <Button look="primary" autoFocus onClick={onClose}>
            {m.close}
          </Button>
        </footer>
      </Dialog>
    );
  }
  return (
    <Dialog title={m.newToken} note={m.tokenNote} onClose={onClose}>
      <form
        class="dialog-form"
        onSubmit={(e) => {
          e.preventDefault();
          void make();
        }}
      >
        <div class="dialog-body stack">
          <Field id="token-name" label={m.name} hint={m.hintSlug}>
            <TextInput id="token-name" required described={describedBy('token-name', true, '')} maxLength={64} value={name.value} onInput={(e) => (name.value = e.currentTarget.value)} />
          </Field>
          <Field id="token-scope" label={m.tokenScope}>
            <select id="token-scope" class="input" value={scope.value} onChange={(e) => (scope.value = e.currentTarget.value)}>
              <option value="read">{m.scope.read}</option>
              <option value="run">{m.scope.run}</option>
              {(catalog.value?.entries ?? []).map((e) => (
                <option key={`${e.kind} ${e.id}`} value={`run:${e.id}`}>
                  {m.scopeOnly(e.title || e.id)}
                </option>
              ))}
              <option value="admin">{m.scope.admin}</option>
            </select>
          </Field>
          <Field id="token-days" label={m.expires}>
            <select id="token-days" class="input" value={days.value} onChange={(e) => (days.value = e.currentTarget.value)}>
              {DAYS.map((d) => (
                <option key={d} value={String(d)}>
                  {d === 0 ? m.never : m.inDays(d)}
                </option>
              ))}
            </select>
          </Field>
          {askPassword.value && <Reauth label={m.makeToken} onDone={() => void make()} />}
          {error.value !== null && <Problem error={error.value} />}
        </div>
        <footer class="dialog-foot">
          <Button onClick={onClose}>{m.cancel}</Button>
          {!askPassword.value && (
            <Button type="submit" look="primary" busy={busy.value}>
              {m.makeToken}
            </Button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}
