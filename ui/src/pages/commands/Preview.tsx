import { useSignal } from '@preact/signals';
import { Fragment } from 'preact';
import { ApiError, post } from '../../api/http.ts';
import { decodePlan, type CatalogEntry, type InputValue, type PlanStep } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { IconButton } from '../../ui/Button.tsx';
import { Icon } from '../../ui/Icon.tsx';
import { Problem } from '../../ui/Notice.tsx';
import { copyText } from '../../ui/toast.ts';
import { quoteArg, quoteArgv } from './quote.ts';
import { hostMember } from './start.ts';

interface Props {
  entry: CatalogEntry;
  inputs: Record<string, InputValue>;
  onFields: (fields: Record<string, string>) => void;
}

/** The exact argv, from the agent itself, asked for when it is opened. */
export function Preview({ entry, inputs, onFields }: Props) {
  const m = t.value;
  const plan = useSignal<{ of: string; steps: PlanStep[] } | null>(null);
  const error = useSignal<unknown>(null);
  const open = useSignal(false);
  const text = JSON.stringify(inputs);
  const stale = plan.value !== null && plan.value.of !== text;

  const load = async () => {
    error.value = null;
    try {
      const steps = await post('/runs', decodePlan, { body: { kind: entry.kind, id: entry.id, ...hostMember(entry), inputs, dry_run: true } });
      plan.value = { of: text, steps };
    } catch (e) {
      plan.value = null;
      if (e instanceof ApiError && Object.keys(e.fields).length > 0) onFields({ ...e.fields });
      error.value = e;
    }
  };

  return (
    <details
      class="preview"
      onToggle={(e) => {
        open.value = e.currentTarget.open;
        if (open.value && (plan.value === null || stale)) void load();
      }}
    >
      <summary>
        <Icon name="chevron-right" />
        {m.previewArgv}
      </summary>
      {error.value !== null && <Problem error={error.value} retry={() => void load()} />}
      {stale && (
        <button type="button" class="text-button" onClick={() => void load()}>
          {m.previewStale}
        </button>
      )}
      {plan.value && (
        <ol class={stale ? 'stale' : ''}>
          {plan.value.steps.map((s, i) => (
            <li key={i}>
              <p class="preview-step">
                {plan.value!.steps.length > 1 && <b>{s.step}</b>}
                <span class="muted">{m.asUserIn(s.user, s.cwd)}</span>
                <IconButton icon="copy" label={m.copy} onClick={() => void copyText(quoteArgv(s.argv), m.copied)} />
              </p>
              <code class="argv">
                {s.argv.map((arg, at) => (
                  <Fragment key={at}>
                    {at > 0 && ' '}
                    <span>{quoteArg(arg)}</span>
                  </Fragment>
                ))}
              </code>
            </li>
          ))}
        </ol>
      )}
    </details>
  );
}
