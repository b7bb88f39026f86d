import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { Logo } from '../../app/Sidebar.tsx';
import { Toast } from '../../app/Toast.tsx';
import { LoginForm } from './LoginForm.tsx';

export function Login() {
  const m = t.value;
  const box = useRef<HTMLDivElement>(null);
  // The user is filled in. Where there is a keyboard of glass it would cover half of the page before anybody asked for it.
  useLayoutEffect(() => {
    if (!matchMedia('(pointer: coarse)').matches) box.current?.querySelector<HTMLElement>('[data-autofocus]')?.focus();
  }, []);
  return (
    <main class="login" id="main">
      <div class="login-card" ref={box}>
        <Logo />
        <h1>{m.signInTo(location.hostname)}</h1>
        <LoginForm />
        {!window.isSecureContext && <p class="muted small">{m.insecure}</p>}
      </div>
      <Toast />
    </main>
  );
}
