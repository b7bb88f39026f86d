// Ranks palette entries: a subsequence match, better at the starts of words, better in one piece,
// better when short.

/** 0: no match; higher is better. An empty query matches everything alike. */
export function score(query: string, text: string): number {
  const q = query.toLowerCase().replace(/\s+/g, '');
  const t = text.toLowerCase();
  if (q === '') return 1;
  const at = t.indexOf(query.toLowerCase().trim());
  if (at >= 0) return 1000 + (at === 0 ? 400 : isWordStart(text, at) ? 250 : 0) - at - t.length * 0.1;
  // Going for the starts of words may leave too little for the rest.
  const points = pointsOf(q, text, (c, from) => bestIndex(t, text, c, from)) ?? pointsOf(q, text, (c, from) => t.indexOf(c, from));
  return points === null ? 0 : Math.max(1, 200 + points - t.length * 0.1);
}

/** For letters one after the other, each at the place that `find` says; null: one is nowhere. */
function pointsOf(q: string, text: string, find: (c: string, from: number) => number): number | null {
  let points = 0;
  let from = 0;
  let previous = -2;
  for (const c of q) {
    const i = find(c, from);
    if (i < 0) return null;
    points += (i === previous + 1 ? 12 : 0) + (isWordStart(text, i) ? 16 : 0) - Math.min(6, i - from);
    previous = i;
    from = i + 1;
  }
  return points;
}

function isWordStart(text: string, i: number): boolean {
  if (i === 0) return true;
  const before = text[i - 1]!;
  return /[\s._/#:-]/.test(before) || (/[a-z]/.test(before) && /[A-Z]/.test(text[i]!));
}

/** The next place of c, a word start if one is near. */
function bestIndex(t: string, text: string, c: string, from: number): number {
  const first = t.indexOf(c, from);
  if (first < 0 || isWordStart(text, first)) return first;
  for (let i = t.indexOf(c, first + 1); i >= 0 && i < from + 24; i = t.indexOf(c, i + 1)) if (isWordStart(text, i)) return i;
  return first;
}

/** Items whose text matches, best first; ties keep their order. `bonus`: recency and such. */
export function rank<T>(query: string, items: readonly T[], text: (item: T) => string, bonus: (item: T) => number = () => 0): T[] {
  return items
    .map((item, i) => ({ item, i, s: score(query, text(item)) }))
    .filter((x) => x.s > 0)
    .map((x) => ({ ...x, s: x.s + bonus(x.item) }))
    .sort((a, b) => b.s - a.s || a.i - b.i)
    .map((x) => x.item);
}
