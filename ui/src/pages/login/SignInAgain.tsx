import { t } from '../../i18n/index.ts';
import { session } from '../../live/store.ts';
import { Dialog } from '../../ui/Dialog.tsx';
import { LoginForm } from './LoginForm.tsx';

/** The session ended: sign in over the page, which stays as it is. */
export function SignInAgain() {
  const m = t.value;
  return (
    <Dialog title={m.signInAgain} note={m.sessionEnded} onClose={() => undefined} fixed class="narrow">
      <div class="dialog-body">
        <LoginForm user={session.value?.user ?? ''} />
      </div>
    </Dialog>
  );
}
