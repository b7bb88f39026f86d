import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../i18n/index.ts';
import { IconButton } from './Button.tsx';

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  /** Below the title. */
  note?: ComponentChildren;
  /** Cannot be dismissed. */
  fixed?: boolean;
  class?: string;
}

/** A modal dialog; a full-screen sheet on a phone. Focus goes to [data-autofocus] or the first field. */
export function Dialog({ title, onClose, children, note, fixed, class: extra = '' }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const d = ref.current!;
    const before = document.activeElement;
    if (!d.open) d.showModal();
    const first = d.querySelector<HTMLElement>('[data-autofocus]') ?? d.querySelector<HTMLElement>('form :is(input:not([type=radio]:not(:checked)), select, textarea, button):not([disabled])');
    first?.focus();
    return () => {
      if (d.open) d.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={ref}
      class={`dialog ${extra}`}
      aria-labelledby="dialog-title"
      onCancel={(e) => {
        e.preventDefault();
        if (!fixed) onClose();
      }}
      // A second Escape closes it without asking.
      onClose={(e) => {
        if (!e.currentTarget.isConnected) return;
        if (fixed) e.currentTarget.showModal();
        else onClose();
      }}
      onClick={(e) => {
        if (e.target === ref.current && !fixed) onClose();
      }}
    >
      <div class="dialog-frame">
        <header class="dialog-head">
          <div>
            <h2 id="dialog-title">{title}</h2>
            {note && <p class="muted">{note}</p>}
          </div>
          {!fixed && <IconButton icon="x" label={t.value.close} onClick={onClose} />}
        </header>
        {children}
      </div>
    </dialog>
  );
}
