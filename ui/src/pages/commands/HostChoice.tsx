import type { CatalogEntry } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { hostTitle } from '../../live/hosts.ts';
import { catalog } from '../../live/store.ts';
import { Field, Segmented } from '../../ui/Field.tsx';
import { Icon } from '../../ui/Icon.tsx';

/** More than that are a list to choose from. */
const SIDE_BY_SIDE = 4;

/** On which machine it will run; where several have it, a choice. */
export function HostChoice({ entry, onChange }: { entry: CatalogEntry; onChange: (other: CatalogEntry) => void }) {
  const m = t.value;
  const same = (catalog.value?.entries ?? []).filter((e) => e.kind === entry.kind && e.id === entry.id);
  if (same.length < 2) {
    return (
      <p class="note">
        <Icon name="server" />
        {m.onHost(hostTitle(entry.host))}
      </p>
    );
  }
  const choose = (host: string) => {
    const other = same.find((e) => e.host === host);
    if (other && other !== entry) onChange(other);
  };
  if (same.length <= SIDE_BY_SIDE) {
    return (
      <Field id="run-host" label={m.runsOn} group>
        <Segmented name="run-host" label={m.runsOn} value={entry.host} onChange={choose} options={same.map((e) => [e.host, hostTitle(e.host)] as const)} />
      </Field>
    );
  }
  return (
    <Field id="run-host" label={m.runsOn}>
      <select id="run-host" class="input" value={entry.host} onChange={(e) => choose(e.currentTarget.value)}>
        {same.map((e) => (
          <option key={e.host} value={e.host}>
            {hostTitle(e.host)}
          </option>
        ))}
      </select>
    </Field>
  );
}
