import type { Run } from '../../api/types.ts';
import { t } from '../../i18n/index.ts';
import { entryOf } from '../../live/hosts.ts';
import { say } from '../../ui/toast.ts';
import { openRunForm } from '../commands/start.ts';

/** Through the same form as the first time, filled in as it was then. */
export function runAgain(run: Run): void {
  const entry = entryOf(run);
  if (entry) openRunForm(entry, run.inputs);
  else say(t.value.noLongerInCatalog);
}
