import { toast } from '../ui/toast.ts';

export function Toast() {
  const current = toast.value;
  return (
    <div class="toasts" role="status" aria-live="polite">
      {current && (
        <p class="toast" key={current.id}>
          {current.text}
        </p>
      )}
    </div>
  );
}
