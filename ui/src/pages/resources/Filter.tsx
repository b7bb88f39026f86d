import type { Signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../../i18n/index.ts';
import { useKeys } from '../../lib/keys.ts';
import { Segmented } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';

interface Props {
  query: Signal<string>;
  byName: Signal<boolean>;
}

/** What stands above a long list: which of it, and in which order. */
export function Filter({ query, byName }: Props) {
  const m = t.value;
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => useKeys({ '/': () => input.current?.focus() }), []);
  return (
    <div class="page-tools">
      <label class="filter">
        <Icon name="search" />
        <input ref={input} type="search" value={query.value} onInput={(e) => (query.value = e.currentTarget.value)} placeholder={m.filter} aria-label={m.filter} />
        <kbd>/</kbd>
      </label>
      <Segmented
        name="order"
        label={m.order}
        value={byName.value ? 'name' : 'trouble'}
        onChange={(v) => (byName.value = v === 'name')}
        options={[
          ['trouble', m.troubleFirst],
          ['name', m.byName],
        ]}
      />
    </div>
  );
}
