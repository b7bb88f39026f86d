import { useComputed, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { t } from '../i18n/index.ts';
import { dashboardNow } from '../lib/clock.ts';
import { clock, now } from '../lib/format.ts';
import { hostTitle, several } from '../live/hosts.ts';
import { connection, outdated, socket, socketBlocked, system } from '../live/store.ts';
import { isAway } from '../live/system.ts';
import { Button } from '../ui/Button.tsx';
import { Icon } from '../ui/Icon.tsx';

interface BannerProps {
  /** lost: what the page shows is grey meanwhile. */
  tone: 'warn' | 'err' | 'info' | 'warn lost' | 'err lost';
  icon: string;
  children: ComponentChildren;
  action?: ComponentChildren;
}

function Banner({ tone, icon, children, action }: BannerProps) {
  return (
    <div class={`banner ${tone}`} role="status">
      <Icon name={icon} />
      <p>{children}</p>
      {action}
    </div>
  );
}

/** Short cuts are not worth a banner. */
const PATIENCE_MS = 2000;

function Countdown({ to }: { to: number }) {
  const left = useComputed(() => t.value.tryingAgainIn(Math.max(0, Math.ceil((to - now.value) / 1000))));
  return <>{left}</>;
}

function Connection() {
  const m = t.value;
  const c = connection.value;
  const patient = useSignal(true);
  const since = c.kind === 'waiting' || c.kind === 'offline' ? c.since : 0;
  useEffect(() => {
    patient.value = true;
    if (since === 0) return undefined;
    const timer = setTimeout(() => (patient.value = false), Math.max(0, since + PATIENCE_MS - dashboardNow()));
    return () => clearTimeout(timer);
  }, [since]);
  if (since === 0 || patient.value) return null;
  if (c.kind === 'offline') {
    return (
      <Banner tone="err lost" icon="cloud-off">
        {m.youAreOffline(clock(c.since * 1000))}
      </Banner>
    );
  }
  if (c.kind !== 'waiting') return null;
  return (
    <Banner
      tone="warn lost"
      icon="unplug"
      action={
        <Button small onClick={() => socket.retryNow()}>
          {m.retryNow}
        </Button>
      }
    >
      {socketBlocked.value ? m.socketBlocked : m.connectionLost(clock(c.since * 1000))} <Countdown to={c.retryAt} />
    </Banner>
  );
}

export function Banners() {
  const m = t.value;
  const s = system.value;
  const open = connection.value.kind === 'open';
  const away = (s?.agents ?? []).filter(isAway);
  return (
    <div class="banners">
      <Connection />
      {open &&
        away.map((a) => (
          <Banner key={a.host} tone="err" icon="plug-zap">
            {several.value ? (a.state === 'refused' ? m.hostRefused : m.hostAway)(hostTitle(a.host)) : a.state === 'refused' ? m.agentRefused : m.agentAway}
            {a.reason !== '' && (
              <span class="muted" lang="en">
                {' '}
                {a.reason}
              </span>
            )}
          </Banner>
        ))}
      {open && s?.history.catchingUp && (
        <Banner tone="info" icon="database">
          {s.history.down ? m.databaseDown : m.historyCatchingUp}
        </Banner>
      )}
      {outdated.value && (
        <Banner tone="info" icon="refresh-cw" action={<Button small onClick={() => location.reload()}>{m.reload}</Button>}>
          {m.newVersion}
        </Banner>
      )}
    </div>
  );
}
