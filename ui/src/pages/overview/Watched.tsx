// Containers by project, units with what failed first, and the database: a card each, for what is
// watched. The first lines of each; the rest is one step away.

import type { ComponentChildren } from 'preact';
import { t } from '../../i18n/index.ts';
import { itemTitle } from '../../i18n/values.ts';
import { pagePath } from '../../live/hosts.ts';
import { Link } from '../../ui/Link.tsx';
import { Sent } from '../../ui/Sent.tsx';
import { Until } from '../../ui/Time.tsx';
import { groups, isTimer, type Group } from '../resources/groups.ts';
import { sectionPath, type SectionName } from '../resources/sections.ts';
import { databaseFact } from '../resources/values.ts';
import { LevelMark } from './Level.tsx';
import { bySeverity, machine, numberOf, stale, textOf, worst, type Item } from './status.ts';

const LINES = 5;

interface LineProps {
  href: string;
  level: Item['level'];
  name: string;
  children: ComponentChildren;
}

function Line({ href, level, name, children }: LineProps) {
  return (
    <li>
      <Link href={href} class="row watched-row">
        <LevelMark level={level} quiet />
        <b>{name}</b>
        <span class="muted">{children}</span>
      </Link>
    </li>
  );
}

function Card({ section, children }: { section: SectionName; children: ComponentChildren }) {
  const m = t.value;
  return (
    <section class={`card list-card ${stale.value ? 'stale' : ''}`} aria-labelledby={`watched-${section}`}>
      <header class="card-head">
        <h2 id={`watched-${section}`}>{m.section[section]}</h2>
        <Link href={pagePath(sectionPath(section))} class="card-link">
          {m.details}<span class="visually-hidden">: {m.section[section]}</span>
        </Link>
      </header>
      <ul class="rows">{children}</ul>
    </section>
  );
}

const anchor = (section: SectionName, item: Item): string => pagePath(`${sectionPath(section)}#${encodeURIComponent(item.id)}`);

function Project({ group, alone }: { group: Group; alone: boolean }) {
  const m = t.value;
  const wrong = group.items.find((i) => i.level !== 'ok');
  const running = group.items.filter((i) => textOf(i, 'state') === 'running').length;
  return (
    <Line href={wrong ? anchor('docker', wrong) : pagePath('/containers')} level={worst(group.items)} name={group.name || (alone ? m.section.docker : m.withoutProject)}>
      {wrong ? (
        <>
          {wrong.title}: {wrong.message === '' ? m.level[wrong.level] : <Sent said={wrong} />}
        </>
      ) : (
        m.running(running)
      )}
    </Line>
  );
}

function Containers({ items }: { items: readonly Item[] }) {
  const list = groups('docker', items);
  return (
    <Card section="docker">
      {list.slice(0, LINES).map((g) => (
        <Project key={g.name} group={g} alone={list.length === 1} />
      ))}
    </Card>
  );
}

function Units({ items }: { items: readonly Item[] }) {
  const m = t.value;
  // What is wrong, then what comes next by its timer, then the others as they came.
  const next = (i: Item) => (isTimer(i) ? (numberOf(i, 'next_us') ?? Infinity) : Infinity);
  const list = bySeverity(items.map((item) => ({ item })))
    .map((x) => x.item)
    .sort((a, b) => (a.level === 'ok' && b.level === 'ok' ? next(a) - next(b) || 0 : 0));
  return (
    <Card section="units">
      {list.slice(0, LINES).map((i) => (
        <Line key={i.id} href={anchor('units', i)} level={i.level} name={i.title}>
          {i.message !== '' ? (
            <Sent said={i} />
          ) : isTimer(i) && numberOf(i, 'next_us') !== null ? (
            <>
              {m.nextAt} <Until us={numberOf(i, 'next_us')!} />
            </>
          ) : (
            textOf(i, 'sub')
          )}
        </Line>
      ))}
    </Card>
  );
}

function Database({ items }: { items: readonly Item[] }) {
  return (
    <Card section="database">
      {items.slice(0, LINES).map((i) => (
        <Line key={i.id} href={anchor('database', i)} level={i.level} name={itemTitle('database', i)}>
          {i.message === '' ? databaseFact(i) : <Sent said={i} />}
        </Line>
      ))}
    </Card>
  );
}

export function Watched() {
  const sections = machine.value?.sections ?? {};
  const of = (name: SectionName) => sections[name] ?? [];
  if (of('docker').length + of('units').length + of('database').length === 0) return null;
  return (
    <div class="watched">
      {of('docker').length > 0 && <Containers items={of('docker')} />}
      {of('units').length > 0 && <Units items={of('units')} />}
      {of('database').length > 0 && <Database items={of('database')} />}
    </div>
  );
}
