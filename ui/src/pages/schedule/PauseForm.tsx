import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { Button } from '../../ui/Button.tsx';
import { TextInput } from '../../ui/Field.tsx';

interface Props {
  /** Of what is paused, and what tells it from the others of the page. */
  title: string;
  id: string;
  disabled: boolean;
  onPause: (reason: string) => void;
  onClose: () => void;
}

/** Asks why, which may stay empty. */
export function PauseForm({ title, id, disabled, onPause, onClose }: Props) {
  const m = t.value;
  const form = useRef<HTMLFormElement>(null);
  const reason = useSignal('');
  useLayoutEffect(() => form.current?.querySelector('input')?.focus(), []);
  return (
    <form
      ref={form}
      class="pause-form"
      aria-label={m.pauseQuestion(title)}
      onKeyDown={(e) => e.key === 'Escape' && onClose()}
      onSubmit={(e) => {
        e.preventDefault();
        onPause(reason.value.trim());
      }}
    >
      <label class="visually-hidden" for={id}>
        {m.reasonWord}
      </label>
      <TextInput id={id} placeholder={m.reasonWord} maxLength={200} onInput={(e) => (reason.value = e.currentTarget.value)} />
      <Button small onClick={onClose}>
        {m.cancel}
      </Button>
      <Button small look="primary" type="submit" disabled={disabled}>
        {m.pause}
      </Button>
    </form>
  );
}
