import { t } from '../../i18n/index.ts';
import { full, hourMinute, now } from '../../lib/format.ts';
import { hosts, hostTitle, shownHost } from '../../live/hosts.ts';
import { live } from '../../live/store.ts';
import { isAway, type HostState } from '../../live/system.ts';
import { Icon } from '../../ui/Icon.tsx';
import { Empty } from '../../ui/Notice.tsx';

const DAY_US = 86_400_000_000;

/** "cannot be reached since 18:40". */
export function sinceWhen({ state, since_us }: HostState): string {
  const m = t.value;
  if (since_us === 0) return m.agentState[state];
  return m.sinceAt(m.agentState[state], now.peek() * 1000 - since_us < DAY_US ? hourMinute(since_us / 1000) : full(since_us));
}

/** Why what is shown of the machine that is looked at is old, or why there is nothing; null while it can be reached. */
export function Away({ known }: { /** Something of it is shown. */ known: boolean }) {
  const m = t.value;
  const state = hosts.value.find((h) => h.host === shownHost.value);
  if (!state || !isAway(state) || !live.value) return null;
  const words = m.hostIs(hostTitle(state.host), sinceWhen(state));
  if (known) {
    return (
      <p class="note warn" role="status">
        <Icon name="plug-zap" />
        <span>
          {words} {m.lastKnown}
        </span>
      </p>
    );
  }
  return (
    <section class="card">
      <Empty icon="plug-zap">
        {words} {m.comesBack}
      </Empty>
    </section>
  );
}
