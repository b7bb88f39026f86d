import { t } from '../../i18n/index.ts';
import { Icon } from '../../ui/Icon.tsx';
import type { Level } from './status.ts';

const ICONS: Record<Level, string> = { ok: 'circle-check', warn: 'triangle-alert', bad: 'circle-x', unknown: 'circle-help' };
const TONES: Record<Level, string> = { ok: 'ok', warn: 'warn', bad: 'err', unknown: 'quiet' };

/** Icon and word, never colour only; with `quiet` the word is for screen readers. */
export function LevelMark({ level, quiet }: { level: Level; quiet?: boolean }) {
  return (
    <span class={`status ${TONES[level]}`}>
      <Icon name={ICONS[level]} />
      <span class={quiet ? 'visually-hidden' : ''}>{t.value.level[level]}</span>
    </span>
  );
}
