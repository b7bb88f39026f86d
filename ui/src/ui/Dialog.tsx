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

/** Those that are open, the uppermost last. */
const open: HTMLDialogElement[] = [];

/** A modal dialog; a full-screen sheet on a phone. Focus goes to [data-autofocus] or the first field. */
export function Dialog({ title, onClose, children, note, fixed, class: extra = '' }: Props) {
  const ref = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const d = ref.current!;
    const before = document.activeElement;
    if (!d.open) d.showModal();
    open.push(d);
    const first = d.querySelector<HTMLElement>('[data-autofocus]') ?? d.querySelector<HTMLElement>('form :is(input:not([type=radio]:not(:checked)), select, textarea, button):not([disabled])');
    first?.focus();
    return () => {
      open.splice(open.indexOf(d), 1);
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
        if (!fixed && ref.current === open.at(-1)) onClose();
      }}
      // A second Escape closes it without asking, a third one what is below. What must stay comes back, with those above it.
      onClose={(e) => {
        const d = e.currentTarget;
        if (!d.isConnected || d.open) return;
        if (!fixed && d === open.at(-1)) return onClose();
        for (const above of open.slice(open.indexOf(d))) {
          above.close();
          above.showModal();
        }
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
