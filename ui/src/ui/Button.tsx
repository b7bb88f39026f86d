import type { ComponentChildren } from 'preact';
import { Icon } from './Icon.tsx';

interface ButtonProps {
  children?: ComponentChildren;
  icon?: string;
  look?: 'primary' | 'secondary' | 'danger' | 'danger-solid' | 'ghost';
  small?: boolean;
  busy?: boolean;
  /** A toggle that is on. */
  pressed?: boolean;
  disabled?: boolean;
  /** Why it is disabled, or more than its words say. */
  title?: string | undefined;
  type?: 'button' | 'submit';
  onClick?: (e: MouseEvent) => void;
  class?: string;
  autoFocus?: boolean;
  testId?: string;
}

export function Button({ children, icon, look = 'secondary', small, busy, pressed, disabled, title, type = 'button', onClick, class: extra = '', autoFocus, testId }: ButtonProps) {
  return (
    <button
      type={type}
      class={`btn ${look} ${small ? 'small' : ''} ${extra}`}
      disabled={disabled || busy}
      aria-busy={busy ? 'true' : undefined}
      aria-pressed={pressed}
      title={title}
      onClick={onClick}
      data-autofocus={autoFocus ? '' : undefined}
      data-testid={testId}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

interface IconButtonProps {
  icon: string;
  label: string;
  /** A toggle that is on. */
  pressed?: boolean;
  /** Keyboard shortcut, told in the tooltip. */
  keys?: string;
  disabled?: boolean;
  class?: string;
  /** It opens something that is open now. */
  expanded?: boolean;
  onClick?: (e: MouseEvent) => void;
}

/** A button of one icon: its name is its tooltip too. */
export function IconButton({ icon, label, pressed, keys, expanded, class: extra = '', ...rest }: IconButtonProps) {
  return (
    <button type="button" {...rest} class={`icon-btn ${extra}`} aria-label={label} aria-pressed={pressed} aria-expanded={expanded} title={keys ? `${label} (${keys})` : label}>
      <Icon name={icon} />
    </button>
  );
}
