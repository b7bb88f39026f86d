import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { getText, get } from '../../api/http.ts';
import { num, shape, str } from '../../api/decode.ts';
import { t } from '../../i18n/index.ts';
import { runPath } from '../../live/hosts.ts';
import { Link } from '../../ui/Link.tsx';
import { Problem } from '../../ui/Notice.tsx';

const LINES = 12;

/** The last lines of a text as they can be seen: without escapes and what was overwritten. */
export function lastLines(text: string): string {
  const plain = text.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)/g, '');
  const lines = plain.split('\n').map((l) => l.slice(l.replace(/\r+$/, '').lastIndexOf('\r') + 1).trimEnd());
  while (lines.length > 0 && lines[lines.length - 1] === '') lines.pop();
  return lines.slice(-LINES).join('\n');
}

const match = shape({ line: num, text: str });

/** The first line of a search's answer, when that is a match. */
export function firstMatch(answer: string): { line: number; text: string } | null {
  const first: unknown = JSON.parse(answer.split('\n', 1)[0]!);
  return typeof first === 'object' && first !== null && 'line' in first ? match(first, 'search') : null;
}

/** How a run ended, and what went wrong first, without going there. */
export function Preview({ run }: { run: Run }) {
  const text = useSignal<string | null>(null);
  // What the archive does not say, or not yet, is looked for.
  const found = useSignal<{ line: number; text: string } | null>(null);
  const first = run.first_error ?? found.value;
  const error = useSignal<unknown>(null);
  const load = async (signal?: AbortSignal) => {
    error.value = null;
    const log = `/runs/${run.id}/log`;
    const o = signal ? { signal } : {};
    try {
      const { offset } = await get(`${log}/locate?line=${Math.max(0, run.lines - LINES)}`, shape({ offset: num }), o);
      text.value = lastLines(await getText(`${log}?format=text&offset=${offset}`, o));
      if (!run.first_error && (run.status === 'failed' || run.status === 'timed_out')) found.value = firstMatch(await getText(`${log}/search?preset=errors&before=0&after=0&limit=1`, o));
    } catch (e) {
      if (!signal?.aborted) error.value = e;
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    void load(abort.signal);
    return () => abort.abort();
  }, [run.id, run.size]);
  return (
    <div class="run-preview">
      {first && (
        <Link href={`${runPath(run)}#L${first.line}`} class="first-error">
          <span class="muted">{t.value.firstError}</span> <span class="mono">{first.text}</span>
        </Link>
      )}
      {text.value !== null && (
        <pre class="mono" translate={false} aria-label={t.value.lastLines} tabIndex={0}>
          {text.value === '' ? t.value.logEmpty : text.value}
        </pre>
      )}
      {error.value !== null && <Problem error={error.value} retry={() => void load()} />}
    </div>
  );
}
