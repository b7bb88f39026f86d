// Ticks beside the scroll bar: where errors and hits are. For the mouse; keys have e, E, n and N.

export class Minimap {
  private readonly pool: HTMLElement[] = [];

  constructor(private readonly root: HTMLElement) {}

  draw(errors: readonly number[], hits: readonly number[]): void {
    const wanted = errors.length + hits.length;
    while (this.pool.length < wanted) {
      const e = document.createElement('i');
      this.pool.push(e);
      this.root.append(e);
    }
    for (let i = 0; i < this.pool.length; i++) {
      const e = this.pool[i]!;
      const isError = i < errors.length;
      const at = isError ? errors[i] : hits[i - errors.length];
      e.hidden = at === undefined;
      if (at === undefined) continue;
      e.className = isError ? 'error' : 'hit';
      e.style.top = `${(at * 100).toFixed(2)}%`;
    }
  }
}
