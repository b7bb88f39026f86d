import type { ComponentChildren, TargetedEvent } from 'preact';
import { Icon } from './Icon.tsx';

interface FieldProps {
  id: string;
  label: string;
  hint?: string | undefined;
  error?: string | undefined;
  optional?: string | undefined;
  children: ComponentChildren;
  /** The children are several controls: a group with a legend. */
  group?: boolean;
}

/** A label, a control, a hint and what is wrong with it. */
export function Field({ id, label, hint, error, optional, children, group }: FieldProps) {
  const below = (
    <>
      {hint && (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="field-error" id={`${id}-error`} role="alert">
          <Icon name="circle-alert" />
          {error}
        </p>
      )}
    </>
  );
  const name = (
    <>
      {label}
      {optional && <span class="field-optional"> {optional}</span>}
    </>
  );
  if (group) {
    return (
      <fieldset class="field" aria-describedby={describedBy(id, hint, error)}>
        <legend>{name}</legend>
        {children}
        {below}
      </fieldset>
    );
  }
  return (
    <div class="field">
      <label for={id}>{name}</label>
      {children}
      {below}
    </div>
  );
}

export function describedBy(id: string, hint: unknown, error: unknown): string | undefined {
  return [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ') || undefined;
}

interface InputProps {
  id: string;
  name?: string;
  value?: string;
  type?: 'text' | 'password';
  inputMode?: 'text' | 'numeric' | 'url';
  autocomplete?: 'off' | 'username' | 'current-password' | 'new-password' | 'one-time-code';
  pattern?: string;
  required?: boolean;
  invalid?: boolean;
  described?: string | undefined;
  mono?: boolean;
  autoFocus?: boolean;
  placeholder?: string;
  maxLength?: number;
  onInput?: (e: TargetedEvent<HTMLInputElement>) => void;
}

export function TextInput({ invalid, described, mono, autoFocus, type = 'text', ...rest }: InputProps) {
  return (
    <input
      {...rest}
      type={type as 'text'}
      autocapitalize="none"
      spellcheck={false}
      class={`input ${mono ? 'mono' : ''}`}
      aria-invalid={invalid ? 'true' : undefined}
      aria-describedby={described}
      data-autofocus={autoFocus ? '' : undefined}
    />
  );
}

interface ChoiceProps {
  name: string;
  label: string;
  options: readonly (readonly [value: string, label: string, icon?: string])[];
  value: string;
  onChange: (value: string) => void;
}

/** A few options side by side: radio buttons that look like one control. */
export function Segmented({ name, label, options, value, onChange }: ChoiceProps) {
  return (
    <div class="segmented" role="radiogroup" aria-label={label}>
      {options.map(([v, words, icon]) => (
        <label key={v}>
          <input type="radio" name={name} value={v} checked={v === value} onChange={() => onChange(v)} />
          <span>
            {icon && <Icon name={icon} />}
            {words}
          </span>
        </label>
      ))}
    </div>
  );
}

interface SwitchProps {
  id: string;
  label: string;
  on: boolean;
  onChange: (on: boolean) => void;
  hint?: string | undefined;
  error?: string | undefined;
}

export function Switch({ id, label, on, onChange, hint, error }: SwitchProps) {
  return (
    <div class="field switch-field">
      <label for={id}>
        <span>{label}</span>
        <input id={id} type="checkbox" role="switch" class="switch" checked={on} onChange={(e) => onChange(e.currentTarget.checked)} aria-describedby={describedBy(id, hint, error)} />
      </label>
      {hint && (
        <p class="field-hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="field-error" id={`${id}-error`} role="alert">
          <Icon name="circle-alert" />
          {error}
        </p>
      )}
    </div>
  );
}
