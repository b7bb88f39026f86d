import { useComputed, useSignal } from '@preact/signals';
import { useMemo, useRef } from 'preact/hooks';
import { ApiError } from '../../api/http.ts';
import { t } from '../../i18n/index.ts';
import { go } from '../../lib/router.ts';
import { loadJson, save } from '../../lib/storage.ts';
import { initialValues, problemOf, toInputs } from '../../lib/validate.ts';
import { blockedOn, hostTitle, runPath, sameHost, several } from '../../live/hosts.ts';
import { activeRuns, startRun } from '../../live/store.ts';
import { Button } from '../../ui/Button.tsx';
import { Dialog } from '../../ui/Dialog.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Link } from '../../ui/Link.tsx';
import { Problem } from '../../ui/Notice.tsx';
import { InputField } from './InputField.tsx';
import { Preview } from './Preview.tsx';
import { Reauth } from './Reauth.tsx';
import { HostChoice } from './HostChoice.tsx';
import { hostMember, newKey, runForm, type FormRequest } from './start.ts';

function remembered(entry: FormRequest['entry']): Record<string, unknown> | null {
  const v = loadJson(`values.${entry.kind}.${entry.id}`);
  return typeof v === 'object' && v !== null ? (v as Record<string, unknown>) : null;
}

function remember(entry: FormRequest['entry'], values: Record<string, string>): void {
  const kept = Object.fromEntries(entry.inputs.filter((s) => s.type !== 'secret').map((s) => [s.name, values[s.name] ?? '']));
  save(`values.${entry.kind}.${entry.id}`, JSON.stringify(kept));
}

/** Typed fields, the exact argv, confirmation, and the password again where it is dangerous. */
export function RunForm({ request }: { request: FormRequest }) {
  const m = t.value;
  const { entry } = request;
  const name = entry.title || entry.id;
  const values = useSignal(initialValues(entry.inputs, request.values, remembered(entry)));
  const problems = useSignal<Record<string, string>>({});
  const error = useSignal<unknown>(null);
  const busy = useSignal(false);
  const askPassword = useSignal(false);
  const form = useRef<HTMLFormElement>(null);
  // One key for all tries of this form with the same values: a lost answer must not start it twice.
  const key = useRef({ of: '', value: '' });
  const already = useComputed(() => activeRuns.value.find((r) => r.kind === entry.kind && r.name === entry.id && sameHost(r.host, entry.host)));
  const close = () => (runForm.value = null);
  const inputs = useMemo(() => toInputs(entry.inputs, values.value), [values.value]);

  const check = (): boolean => {
    const found: Record<string, string> = {};
    for (const s of entry.inputs) {
      const p = problemOf(s, values.value[s.name] ?? '', t.value);
      if (p !== '') found[s.name] = p;
    }
    problems.value = found;
    return showFirst(found);
  };

  const showFirst = (found: Record<string, string>): boolean => {
    const first = entry.inputs.find((s) => found[s.name]);
    if (first) setTimeout(() => form.current?.querySelector<HTMLElement>(`[id="input-${first.name}"], [name="input-${first.name}"]`)?.focus());
    return !first;
  };

  const submit = async () => {
    if (busy.value || !check()) return;
    busy.value = true;
    error.value = null;
    const body = { kind: entry.kind, id: entry.id, ...hostMember(entry), inputs, ...(entry.confirm ? { confirm: entry.id } : {}) };
    const text = JSON.stringify(body);
    if (key.current.of !== text) key.current = { of: text, value: newKey() };
    try {
      const run = await startRun(body, key.current.value);
      remember(entry, values.value);
      close();
      go(runPath(run));
    } catch (e) {
      if (e instanceof ApiError && e.code === 'reauth_required') askPassword.value = true;
      else if (e instanceof ApiError && Object.keys(e.fields).length > 0) {
        problems.value = { ...e.fields };
        // What is not one of the fields is told below them.
        if (showFirst(e.fields)) error.value = e;
      } else error.value = e;
    } finally {
      busy.value = false;
    }
  };

  const set = (n: string, v: string) => {
    values.value = { ...values.value, [n]: v };
    if (problems.value[n]) problems.value = { ...problems.value, [n]: '' };
  };
  const careful = entry.confirm || entry.danger === 'high';
  const blocked = blockedOn(entry.host);

  return (
    <Dialog title={name} note={entry.description || <span class="mono">{entry.id}</span>} onClose={close} class={entry.inputs.length > 0 ? 'whole' : ''}>
      <form
        ref={form}
        class="dialog-form"
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <div class="dialog-body stack">
          {already.value && (
            <p class="note">
              <Icon name="info" />
              {m.alreadyRunning} <Link href={runPath(already.value)}>{m.openRun(already.value.number)}</Link>
            </p>
          )}
          {several.value && <HostChoice entry={entry} onChange={(other) => (runForm.value = { entry: other, values: values.value })} />}
          {blocked !== '' && (
            <p class="note warn">
              <Icon name="plug-zap" />
              {blocked}
            </p>
          )}
          {entry.inputs.map((s) => (
            <InputField key={s.name} spec={s} value={values.value[s.name] ?? ''} error={problems.value[s.name] ?? ''} onChange={(v) => set(s.name, v)} />
          ))}
          <Preview entry={entry} inputs={inputs} onFields={(f) => (problems.value = f)} />
          {careful && (
            <p class={`note ${entry.danger === 'high' ? 'danger' : 'warn'}`}>
              <Icon name="triangle-alert" />
              {entry.danger === 'high' ? m.dangerNote : m.confirmNote}
            </p>
          )}
          {askPassword.value && <Reauth label={m.confirmAndRun} onDone={() => void submit()} />}
          {error.value !== null && <Problem error={error.value} />}
        </div>
        <footer class="dialog-foot">
          <Button onClick={close} autoFocus={careful && entry.inputs.length === 0}>
            {m.cancel}
          </Button>
          {!askPassword.value && (
            <Button type="submit" look={entry.danger === 'high' ? 'danger-solid' : 'primary'} icon="play" busy={busy.value} disabled={blocked !== ''} title={blocked || undefined} testId="start">
              {several.value ? m.runNamedOn(name, hostTitle(entry.host)) : m.runNamed(name)}
            </Button>
          )}
        </footer>
      </form>
    </Dialog>
  );
}
