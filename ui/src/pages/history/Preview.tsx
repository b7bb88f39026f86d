import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Run } from '../../api/types.ts';
import { getText, get } from '../../api/http.ts';
import { num, shape } from '../../api/decode.ts';
import { t } from '../../i18n/index.ts';
import { Problem } from '../../ui/Notice.tsx';

const LINES = 12;

/** The last lines of a text as they can be seen: without escapes and what was overwritten. */
export function lastLines(text: string): string {
  const plain = text.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)/g, '');
  const lines = plain.split('\n').map((l) => l.slice(l.replace(/\r+$/, '').lastIndexOf('\r') + 1).trimEnd());
  while (lines.length > 0 && lines[lines.length - 1] === '') lines.pop();
  return lines.slice(-LINES).join('\n');
}

/** How a run ended, without going there. */
export function Preview({ run }: { run: Run }) {
  const text = useSignal<string | null>(null);
  const error = useSignal<unknown>(null);
  const load = async (signal?: AbortSignal) => {
    error.value = null;
    const log = `/runs/${run.id}/log`;
    try {
      const { offset } = await get(`${log}/locate?line=${Math.max(0, run.lines - LINES)}`, shape({ offset: num }), signal ? { signal } : {});
      text.value = lastLines(await getText(`${log}?format=text&offset=${offset}`, signal ? { signal } : {}));
    } catch (e) {
      if (!signal?.aborted) error.value = e;
    }
  };
  useEffect(() => {
    const abort = new AbortController();
    void load(abort.signal);
    return () => abort.abort();
  }, [run.id, run.size]);
  if (error.value !== null) return <Problem error={error.value} retry={() => void load()} />;
  return (
    <pre class="run-preview mono" translate={false} aria-label={t.value.lastLines} tabIndex={0}>
      {text.value === '' ? t.value.logEmpty : text.value}
    </pre>
  );
}
