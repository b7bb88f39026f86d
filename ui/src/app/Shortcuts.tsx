import { t } from '../i18n/index.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { MOD } from './nav.ts';
import { shortcutsOpen } from './state.ts';

export function Shortcuts() {
  const m = t.value;
  const groups: [string, [string, string][]][] = [
    [
      m.shortcutsEverywhere,
      [
        [`${MOD}K`, m.palette],
        ['g o', m.overview],
        ['g c', m.commands],
        ['g h', m.history],
        ['g e', m.schedule],
        ['g a', m.audit],
        ['g s', m.settings],
        ['?', m.shortcuts],
        ['Esc', m.close],
      ],
    ],
    [
      m.shortcutsLists,
      [
        ['j · k', m.nextPreviousRow],
        ['Enter', m.openRow],
        ['Space', m.previewRow],
        ['x', m.pickRow],
        ['Shift X', m.cancelPicked],
        ['[ · ]', m.weekBackForth],
      ],
    ],
    [
      m.shortcutsRun,
      [
        ['f', m.follow],
        ['Home · End', m.topAndBottom],
        ['g g · G', m.topAndBottom],
        [`/ · ${MOD}F`, m.findInLog],
        ['n · N', m.nextPreviousHit],
        ['m', m.onlyHits],
        ['e · E', m.nextPreviousError],
        ['s · S', m.nextPreviousStep],
        ['[ · ]', m.previousNextRun],
        ['o', m.foldHere],
        ['w', m.wrapLines],
        ['t', m.timestamps],
        ['z', m.focusMode],
        ['c · y', m.copyTextOrLink],
        ['d', m.downloadLog],
        ['r', m.runAgain],
        ['Shift X', m.cancelRun],
      ],
    ],
  ];
  return (
    <Dialog title={m.shortcuts} onClose={() => (shortcutsOpen.value = false)} class="shortcuts">
      <div class="dialog-body shortcut-groups" tabIndex={0}>
        {groups.map(([name, keys]) => (
          <section key={name}>
            <h3>{name}</h3>
            <dl>
              {keys.map(([k, what]) => (
                <div key={k}>
                  <dt>
                    <kbd>{k}</kbd>
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
