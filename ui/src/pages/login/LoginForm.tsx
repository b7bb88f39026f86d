import { useSignal } from '@preact/signals';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { codeWanted, signIn } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { describedBy, Field, TextInput } from '../../ui/Field.tsx';
import { errorText } from '../../ui/Notice.tsx';

/** User, password and, where it is set up, a code. Managers and pasting are welcome. */
export function LoginForm({ user = '', done }: { user?: string; done?: () => void }) {
  const m = t.value;
  const busy = useSignal(false);
  const error = useSignal<unknown>(null);
  const withCode = codeWanted.value;

  const submit = async (e: SubmitEvent) => {
    e.preventDefault();
    const form = e.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const value = (name: string) => String(data.get(name) ?? '').trim();
    busy.value = true;
    error.value = null;
    try {
      await signIn(value('username'), String(data.get('password') ?? ''), value('code').replace(/\s/g, ''));
      done?.();
    } catch (problem) {
      error.value = problem;
      busy.value = false;
      setTimeout(() => form.querySelector<HTMLInputElement>('[name=password]')?.select());
    }
  };

  const message = () => {
    const x = error.value;
    if (x instanceof ApiError && x.status === 401) return withCode ? m.loginRefusedCode : m.loginRefused;
    return errorText(x);
  };

  return (
    <form class="stack" onSubmit={(e) => void submit(e)}>
      <Field label={m.user} id="username">
        <TextInput id="username" name="username" value={user || 'admin'} autocomplete="username" required />
      </Field>
      <Field label={m.password} id="password">
        <TextInput id="password" name="password" type="password" autocomplete="current-password" required autoFocus />
      </Field>
      {withCode && (
        <Field label={m.code} id="code" hint={m.codeHint}>
          <TextInput id="code" name="code" described={describedBy('code', true, '')} inputMode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,8}" required />
        </Field>
      )}
      {error.value !== null && (
        <p class="field-error" role="alert">
          {message()}
        </p>
      )}
      <Button type="submit" look="primary" busy={busy.value} class="wide">
        {m.signIn}
      </Button>
    </form>
  );
}
