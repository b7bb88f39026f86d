import { useSignal } from '@preact/signals';
import { LANGUAGES, lang, setLanguage, t, type Language } from '../../i18n/index.ts';
import { DENSITIES, density, setDensity, type Density } from '../../lib/density.ts';
import { setSingleKeys, singleKeys } from '../../lib/keys.ts';
import { setStill, still } from '../../lib/motion.ts';
import { setTheme, theme, type Theme } from '../../lib/theme.ts';
import { setZone, zone, ZONES, type Zone } from '../../lib/zone.ts';
import { hosts, hostTitle, several } from '../../live/hosts.ts';
import { hostName, session, signOut, system } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { Segmented, Switch } from '../../ui/Field.tsx';
import { errorText, Problem } from '../../ui/Notice.tsx';
import { say } from '../../ui/toast.ts';
import { Card, Row } from './Card.tsx';
import { Notifications } from './Notifications.tsx';
import { Sessions } from './Sessions.tsx';
import { Tokens } from './Tokens.tsx';
import { Totp } from './Totp.tsx';

export function Settings() {
  const m = t.value;
  const error = useSignal<unknown>(null);
  const busy = useSignal(false);
  const leave = () => {
    busy.value = true;
    signOut().catch((e: unknown) => {
      error.value = e;
      busy.value = false;
    });
  };
  const facts: [string, string][] = [
    several.value ? [m.hosts, hosts.value.map((h) => hostTitle(h.host)).join(', ')] : [m.host, hostName.value],
    [m.version, session.value?.version || system.value?.version || ''],
    [m.page, `${__VERSION__} · ${document.querySelector<HTMLMetaElement>('meta[name=ops-build]')?.content ?? ''}`],
  ];
  return (
    <>
      <header class="page-head">
        <h1>{m.settings}</h1>
      </header>
      <div class="settings">
        <Card id="appearance" title={m.appearance}>
          <Row label={m.theme}>
            <Segmented
              name="theme"
              label={m.theme}
              value={theme.value}
              onChange={(v) => setTheme(v as Theme)}
              options={[
                ['system', m.themeSystem, 'monitor'],
                ['light', m.themeLight, 'sun'],
                ['dark', m.themeDark, 'moon'],
              ]}
            />
          </Row>
          <Row label={m.language}>
            <Segmented name="language" label={m.language} value={lang.value} onChange={(v) => void setLanguage(v as Language).catch((e: unknown) => say(errorText(e)))} options={Object.entries(LANGUAGES)} />
          </Row>
          <Row label={m.zone}>
            <Segmented name="zone" label={m.zone} value={zone.value} onChange={(v) => setZone(v as Zone)} options={ZONES.map((z) => [z, m.zones[z]] as const)} />
          </Row>
          <Row label={m.density}>
            <Segmented name="density" label={m.density} value={density.value} onChange={(v) => setDensity(v as Density)} options={DENSITIES.map((d) => [d, m.densities[d]] as const)} />
          </Row>
          <Switch id="single-keys" label={m.singleKeys} hint={m.singleKeysHint} on={singleKeys.value} onChange={setSingleKeys} />
          <Switch id="still" label={m.still} hint={m.stillHint} on={still.value} onChange={setStill} />
        </Card>
        <Card id="you" title={m.signedIn}>
          <Row label={session.value?.user ?? ''}>
            <Button icon="log-out" busy={busy.value} onClick={leave}>
              {m.signOut}
            </Button>
          </Row>
          {error.value !== null && <Problem error={error.value} />}
        </Card>
        <Totp />
        <Sessions />
        <Tokens />
        <Notifications />
        <Card id="about" title={m.about}>
          <dl class="facts">
            {facts
              .filter(([, v]) => v !== '')
              .map(([k, v]) => (
                <div key={k}>
                  <dt>{k}</dt>
                  <dd class="mono">{v}</dd>
                </div>
              ))}
          </dl>
          <p class="muted small">
            {m.madeWith}{' '}
            <a href="/licences.txt" target="_blank" rel="noreferrer">
              {m.licences}
            </a>
          </p>
        </Card>
      </div>
    </>
  );
}
