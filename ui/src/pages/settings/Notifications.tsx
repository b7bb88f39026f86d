import { useSignal } from '@preact/signals';
import { ApiError, post } from '../../api/http.ts';
import { decodeNotify, decodeNotifyTest, hostOf, type NotifyHook, type NotifyResult, type NotifyRule, type NotifyTarget } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { hostTitle, several } from '../../live/hosts.ts';
import { useLoad } from '../../lib/useLoad.ts';
import { Button } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Empty, Failed, Problem, Skeleton } from '../../ui/Notice.tsx';
import { Ago } from '../../ui/Time.tsx';
import { Card } from './Card.tsx';

/** How the last message went: a mark and a word, never the colour alone. */
function Last({ target, result }: { target: NotifyTarget; result: NotifyResult | undefined }) {
  const m = t.value;
  const { last } = target;
  const ok = result ? result.ok : last?.ok;
  if (ok === undefined) return <span class="muted small">{m.notifyNothingYet}</span>;
  return (
    <span class={`small notify-last ${ok ? 'ok' : 'err'}`}>
      <Icon name={ok ? 'circle-check' : 'circle-alert'} />
      <span>
        {ok ? m.notifyArrived : m.notifyNotArrived} <span class="muted" lang="en">{result?.message ?? last?.message}</span>
        {!result && last && (
          <span class="muted">
            {' · '}
            <Ago us={last.time_us} />
          </span>
        )}
      </span>
    </span>
  );
}

function Target({ target, onTested }: { target: NotifyTarget; onTested: () => void }) {
  const m = t.value;
  const busy = useSignal(false);
  const result = useSignal<NotifyResult | undefined>(undefined);
  const error = useSignal<unknown>(null);

  const test = async () => {
    busy.value = true;
    error.value = null;
    try {
      result.value = (await post('/notify/test', decodeNotifyTest, { body: { target: target.name } }))[0];
    } catch (e) {
      error.value = e;
    } finally {
      busy.value = false;
      onTested();
    }
  };

  return (
    <li>
      <span class="settings-item">
        <b>{target.name}</b>
        <span class="muted small">
          {m.notifyKind[target.kind]} · <span class="mono">{target.where}</span>
          {target.waiting > 0 && ` · ${m.notifyWaiting(target.waiting)}`}
        </span>
        <span aria-live="polite">
          <Last target={target} result={result.value} />
        </span>
        {error.value !== null && <Problem error={error.value} />}
      </span>
      <Button small busy={busy.value} onClick={() => void test()}>
        {m.notifySendTest}
        <span class="visually-hidden"> {target.name}</span>
      </Button>
    </li>
  );
}

/** A rule in words: what it is about, and who is told. */
function Rule({ rule }: { rule: NotifyRule }) {
  const m = t.value;
  const only = [...rule.hosts, ...rule.runs, ...rule.items];
  const sections = rule.sections.map((s) => m.section[s as keyof typeof m.section] ?? s);
  return (
    <li>
      <span class="settings-item">
        <span>{rule.on.map((on) => m.notifyOn[on as keyof typeof m.notifyOn] ?? on).join(', ')}</span>
        <span class="muted small">
          {sections.length > 0 && `${sections.join(', ')} · `}
          {only.length > 0 && <span class="mono">{only.join(', ')} · </span>}
          {m.notifyTo(rule.targets.join(', '))}
        </span>
      </span>
    </li>
  );
}

function Hook({ hook }: { hook: NotifyHook }) {
  const host = hostOf(hook);
  return (
    <li>
      <span class="settings-item">
        <b>{hook.name}</b>
        <span class="muted small">
          {t.value.notifyStarts(hook.flow)}
          {several.value && host !== '' && ` ${t.value.on(hostTitle(host))}`}
          {[...hook.events, ...hook.refs].map((word) => (
            <span class="mono"> · {word}</span>
          ))}
        </span>
      </span>
    </li>
  );
}

/** Who is told what, how that went, and who may start what from outside: as NOTIFY_FILE says. */
export function Notifications() {
  const m = t.value;
  const notify = useLoad('/notify', decodeNotify);
  const { targets, rules, hooks } = notify.data.value ?? { targets: [], rules: [], hooks: [] };
  const error = notify.error.value;

  // An administrator's: who may not see it is shown nothing of it.
  if (error instanceof ApiError && error.status === 403) return null;
  return (
    <Card id="notifications" title={m.notifications}>
      {error !== null && <Failed error={error} retry={notify.reload} />}
      {notify.data.value === null && error === null && <Skeleton rows={2} />}
      {notify.data.value !== null && targets.length + hooks.length === 0 && <Empty icon="bell">{m.notifyNone}</Empty>}
      {targets.length > 0 && (
        <ul class="settings-list targets">
          {targets.map((target) => (
            <Target key={target.name} target={target} onTested={notify.reload} />
          ))}
        </ul>
      )}
      {rules.length > 0 && (
        <>
          <h3 class="settings-sub">{m.notifyRules}</h3>
          <ul class="settings-list plain">
            {rules.map((rule, i) => (
              <Rule key={i} rule={rule} />
            ))}
          </ul>
        </>
      )}
      {hooks.length > 0 && (
        <>
          <h3 class="settings-sub">{m.notifyHooks}</h3>
          <ul class="settings-list plain">
            {hooks.map((hook) => (
              <Hook key={hook.name} hook={hook} />
            ))}
          </ul>
        </>
      )}
    </Card>
  );
}
