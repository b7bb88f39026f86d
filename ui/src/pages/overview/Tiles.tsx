import { t } from '../../i18n/index.ts';
import { number } from '../../lib/format.ts';
import { pagePath } from '../../live/hosts.ts';
import { Link } from '../../ui/Link.tsx';
import { SECTIONS, sectionPath } from '../resources/sections.ts';
import { LevelMark } from './Level.tsx';
import { machine, worst } from './status.ts';

/** One tile for each kind of thing that is watched beside the host. */
export function Tiles() {
  const m = t.value;
  const sections = machine.value?.sections ?? {};
  const shown = SECTIONS.filter((s) => s.name !== 'host' && (sections[s.name]?.length ?? 0) > 0);
  if (shown.length === 0) return null;
  return (
    <ul class="tiles">
      {shown.map((s) => {
        const items = sections[s.name]!;
        const wrong = items.filter((i) => i.level !== 'ok').length;
        return (
          <li key={s.name}>
            <Link href={pagePath(sectionPath(s.name))} class="card tile">
              <LevelMark level={worst(items)} quiet />
              {m.section[s.name]} <b>{number(items.length)}</b>
              {wrong > 0 && <span class="muted">· {m.wrongOnes(wrong)}</span>}
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
