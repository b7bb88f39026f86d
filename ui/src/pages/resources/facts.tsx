// The one thing to know of an item that is well: beside its name, where a trouble's reason stands otherwise.

import type { ComponentChildren } from 'preact';
import { t } from '../../i18n/index.ts';
import { Sent } from '../../ui/Sent.tsx';
import { Ago, Until } from '../../ui/Time.tsx';
import { numberOf, textOf, type Item } from '../overview/status.ts';
import { isTimer } from './groups.ts';
import { databaseFact, numberText, valueName } from './values.ts';

const of = (item: Item, ...keys: string[]): string =>
  keys
    .map((key) => {
      const v = numberOf(item, key);
      return v === null ? textOf(item, key) : numberText(key, v);
    })
    .filter((s) => s !== '')
    .join(' · ');

function timer(item: Item): ComponentChildren {
  const m = t.value;
  const next = numberOf(item, 'next_us') ?? 0;
  const last = numberOf(item, 'last_us') ?? 0;
  return (
    <>
      {next > 0 && (
        <>
          {m.nextAt} <Until us={next} />
        </>
      )}
      {next > 0 && last > 0 && ' · '}
      {last > 0 && (
        <>
          {m.lastAt} <Ago us={last} />
        </>
      )}
    </>
  );
}

export function keyFact(section: string, item: Item): ComponentChildren {
  if (item.message !== '') return <Sent said={item} />;
  if (section === 'units') return isTimer(item) ? timer(item) : of(item, 'sub', 'memory_bytes');
  if (section === 'docker') return of(item, textOf(item, 'health') === '' ? 'state' : 'health', 'cpu_percent', 'memory_bytes');
  if (section === 'host') return of(item, 'used_pct', 'celsius');
  if (section === 'certificates') return numberOf(item, 'days_left') === null ? '' : `${valueName('days_left')}: ${of(item, 'days_left')}`;
  if (section === 'urls') return of(item, 'status', 'time_ms');
  if (section === 'repositories') return of(item, 'branch');
  if (section === 'backups') return of(item, 'size');
  if (section === 'updater') return of(item, 'version', 'updated_us');
  if (section === 'database') return databaseFact(item);
  return '';
}
