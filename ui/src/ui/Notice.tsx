import type { ComponentChildren } from 'preact';
import { ApiError } from '../api/http.ts';
import { t } from '../i18n/index.ts';
import { Button } from './Button.tsx';
import { Icon } from './Icon.tsx';

/** What went wrong, in words for a person. */
export function errorText(e: unknown): string {
  const m = t.value;
  if (!(e instanceof ApiError)) return e instanceof Error ? e.message : String(e);
  if (e.status === 0) return m.errorUnreachable;
  if (e.status === 429) return e.retryAfter > 0 ? m.errorTooManyIn(e.retryAfter) : m.errorTooMany;
  if (e.code === 'bad_answer') return `${m.errorBadAnswer} (${e.message})`;
  return e.message;
}

/** An error where it happened, with its request id and a way to try again. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const id = error instanceof ApiError ? error.requestId : '';
  return (
    <div class="problem" role="alert">
      <Icon name="circle-alert" />
      <p>
        {errorText(error)}
        {id !== '' && <span class="mono muted"> {id}</span>}
      </p>
      {retry && (
        <Button small icon="rotate-cw" onClick={retry}>
          {t.value.retry}
        </Button>
      )}
    </div>
  );
}

/** Not offered by this dashboard: nothing went wrong, there is nothing to try again. */
export function isMissing(e: unknown): boolean {
  return e instanceof ApiError && (e.status === 404 || e.status === 501);
}

/** Why a part of the page has nothing to show. */
export function Failed({ error, retry }: { error: unknown; retry: () => void }) {
  if (isMissing(error)) return <Empty icon="circle-slash">{t.value.notOffered}</Empty>;
  return <Problem error={error} retry={retry} />;
}

/** Nothing here: one sentence and one thing to do. */
export function Empty({ icon, children, action }: { icon: string; children: ComponentChildren; action?: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <p>{children}</p>
      {action}
    </div>
  );
}

/** Rows of the final size while data is on its way; shown after a moment only (CSS). */
export function Skeleton({ rows }: { rows: number }) {
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: rows }, (_, i) => (
        <span key={i} />
      ))}
    </div>
  );
}
