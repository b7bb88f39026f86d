import { t } from '../../i18n/index.ts';
import { duration } from '../../lib/format.ts';
import { Attention } from './Attention.tsx';
import { Away } from './Away.tsx';
import { Metrics } from './Metrics.tsx';
import { ready } from './ready.ts';
import { machine, numberOf, problems, textOf, useStatus } from './status.ts';
import { Tiles } from './Tiles.tsx';
import { Watched } from './Watched.tsx';

/** What it runs, and since when. */
function System() {
  const system = machine.value?.sections['host']?.find((i) => i.id === 'system');
  const up = numberOf(system, 'uptime_s');
  const parts = [textOf(system, 'os'), textOf(system, 'kernel'), up === null ? '' : t.value.upFor(duration(up * 1e6))];
  const said = parts.filter((p) => p !== '');
  return said.length === 0 ? null : <p class="muted system-line">{said.join(' · ')}</p>;
}

/** How the machine is: problems first, then its worst values, then what is watched on it. */
export function Machine() {
  useStatus();
  const status = machine.value;
  if (!ready.value) return null;
  return (
    <>
      <System />
      <Away known={status !== null} />
      {status && Object.keys(status.sections).length > 0 && <Attention list={problems(status)} timeUs={status.time_us} />}
      <Metrics />
      <Tiles />
      <Watched />
    </>
  );
}
