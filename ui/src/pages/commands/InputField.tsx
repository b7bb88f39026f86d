import { useSignal } from '@preact/signals';
import type { InputSpec } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import type { Words } from '../../i18n/en.ts';
import { IconButton } from '../../ui/Button.tsx';
import { describedBy, Field, Segmented, Switch, TextInput } from '../../ui/Field.tsx';

interface Props {
  spec: InputSpec;
  value: string;
  error: string;
  onChange: (value: string) => void;
}

/** What may be typed, in one line. */
function hintOf(spec: InputSpec, m: Words): string {
  const parts: string[] = [];
  if (spec.description) parts.push(spec.description);
  if (spec.type === 'int' && (spec.min !== null || spec.max !== null)) parts.push(m.hintRange(spec.min, spec.max));
  if (spec.type === 'slug') parts.push(m.hintSlug);
  if (spec.type === 'duration') parts.push(m.hintDuration);
  if (spec.type === 'path' && spec.under) parts.push(m.hintUnder(spec.under));
  if (spec.type === 'url' && spec.schemes.length > 0) parts.push(m.hintSchemes(spec.schemes.join(', ')));
  if (spec.pattern) parts.push(m.hintPattern(spec.pattern));
  if (spec.max_length !== null && spec.max_length < 1024 && spec.type !== 'enum') parts.push(m.hintLength(spec.max_length));
  return parts.join(' · ');
}

export function InputField({ spec, value, error, onChange }: Props) {
  const m = t.value;
  const id = `input-${spec.name}`;
  const label = spec.title || spec.name;
  const hint = hintOf(spec, m);
  const optional = spec.required || spec.type === 'bool' ? undefined : m.optional;
  if (spec.type === 'bool') {
    return <Switch id={id} label={label} on={value === 'true'} onChange={(on) => onChange(String(on))} hint={hint} error={error} />;
  }
  if (spec.type === 'enum' && spec.values.length <= 4 && spec.values.join('').length <= 48) {
    return (
      <Field id={id} label={label} hint={hint} error={error} group>
        <Segmented name={id} label={label} value={value} onChange={onChange} options={spec.values.map((v) => [v, v] as const)} />
      </Field>
    );
  }
  if (spec.type === 'enum') {
    return (
      <Field id={id} label={label} hint={hint} error={error}>
        <select id={id} class="input" value={value} onChange={(e) => onChange(e.currentTarget.value)} aria-invalid={error !== ''} aria-describedby={describedBy(id, hint, error)}>
          {value === '' && <option value="">{m.choose}</option>}
          {spec.values.map((v) => (
            <option key={v} value={v}>
              {v}
            </option>
          ))}
        </select>
      </Field>
    );
  }
  return (
    <Field id={id} label={label} hint={hint} error={error} optional={optional}>
      <Text spec={spec} id={id} value={value} error={error} hint={hint} onChange={onChange} />
    </Field>
  );
}

function Text({ spec, id, value, error, hint, onChange }: Props & { id: string; hint: string }) {
  const m = t.value;
  const shown = useSignal(false);
  const secret = spec.type === 'secret';
  const input = (
    <TextInput
      id={id}
      mono={spec.type !== 'string'}
      type={secret && !shown.value ? 'password' : 'text'}
      inputMode={spec.type === 'int' ? 'numeric' : spec.type === 'url' ? 'url' : 'text'}
      autocomplete={secret ? 'new-password' : 'off'}
      value={value}
      onInput={(e) => onChange(e.currentTarget.value)}
      invalid={error !== ''}
      described={describedBy(id, hint, error)}
      required={spec.required}
    />
  );
  if (!secret) return input;
  return (
    <div class="input-with-button">
      {input}
      <IconButton icon={shown.value ? 'eye-off' : 'eye'} label={m.showSecret} pressed={shown.value} onClick={() => (shown.value = !shown.value)} />
    </div>
  );
}
