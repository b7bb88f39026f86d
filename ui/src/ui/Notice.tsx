import { Fragment, type ComponentChildren } from 'preact';
import { ApiError } from '../api/http.ts';
import { problemWords, t } from '../i18n/index.ts';
import { here } from '../lib/router.ts';
import { hostTitle, withHost } from '../live/hosts.ts';
import { Button } from './Button.tsx';
import { Icon } from './Icon.tsx';
import { Link } from './Link.tsx';

/** What went wrong, in words for a person; `sent`: what the dashboard says of it in English. */
function errorWords(e: unknown): { words: string; sent: string } {
  const m = t.value;
  if (!(e instanceof ApiError)) return { words: '', sent: e instanceof Error ? e.message : String(e) };
  if (e.status === 0) return { words: m.errorUnreachable, sent: '' };
  if (e.status === 429) return { words: e.retryAfter > 0 ? m.errorTooManyIn(e.retryAfter) : m.errorTooMany, sent: '' };
  if (e.code === 'bad_answer') return { words: m.errorBadAnswer, sent: `(${e.message})` };
  if (e.code === 'ambiguous_number') return { words: m.whichHost, sent: '' };
  return problemWords(e.code, e.message) ?? { words: '', sent: e.message };
}

/** The same as one text. */
export function errorText(e: unknown): string {
  const { words, sent } = errorWords(e);
  return [words, sent].filter(Boolean).join(' ');
}

/** The same address on each machine that it could be of. */
function Choices({ of }: { of: readonly string[] }) {
  return (
    <>
      {of.map((host) => (
        <Fragment key={host}>
          {' '}
          <Link class="btn small" href={withHost(here.value.path, host)}>{hostTitle(host)}</Link>
        </Fragment>
      ))}
    </>
  );
}

/** An error where it happened, with its request id and a way to try again. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const id = error instanceof ApiError ? error.requestId : '';
  const { words, sent } = errorWords(error);
  return (
    <div class="problem" role="alert">
      <Icon name="circle-alert" />
      <p>
        {words}
        {sent !== '' && (
          <span lang="en">
            {words !== '' && ' '}
            {sent}
          </span>
        )}
        {error instanceof ApiError && error.code === 'ambiguous_number' && <Choices of={error.choices} />}
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
