import { t } from '../../i18n/index.ts';
import { Logo } from '../../app/Sidebar.tsx';
import { Toast } from '../../app/Toast.tsx';
import { LoginForm } from './LoginForm.tsx';

export function Login() {
  const m = t.value;
  return (
    <main class="login" id="main">
      <div class="login-card">
        <Logo />
        <h1>{m.signInTo(location.hostname)}</h1>
        <LoginForm />
        {!window.isSecureContext && <p class="muted small">{m.insecure}</p>}
      </div>
      <Toast />
    </main>
  );
}
