// Sizes, beside what they may be. Returns the exit code: 1 when a budget is exceeded.
const KIB = 1024;

export function report(assets, parts) {
  const gz = (paths) => assets.filter((a) => paths.includes(a.path)).reduce((n, a) => n + (a.gz ?? a.raw).length, 0);
  const ends = (ext) => assets.filter((a) => a.path.endsWith(ext)).map((a) => a.path);
  const all = assets.reduce((n, a) => n + (a.raw?.length ?? 0) + (a.gz?.length ?? 0) + (a.br?.length ?? 0), 0);
  const budgets = [
    ['first JavaScript, gz', gz(parts.entry), 40],
    ['run page, log and worker, gz', gz([...parts.log, parts.worker]), 29],
    ['style, gz', gz([parts.style]), 12],
    ['fonts', gz(ends('.woff2')), 60],
    ['everything, all encodings', all, 500],
  ];
  for (const a of assets) {
    console.log(`${a.path.padEnd(52)} ${String(a.raw?.length ?? '-').padStart(7)} ${String(a.gz?.length ?? '-').padStart(7)} ${String(a.br?.length ?? '-').padStart(7)}`);
  }
  console.log();
  let bad = 0;
  for (const [name, size, limit] of budgets) {
    const over = size > limit * KIB;
    bad |= over ? 1 : 0;
    console.log(`${name.padEnd(32)} ${(size / KIB).toFixed(1).padStart(7)} KiB of ${limit}${over ? '  OVER' : ''}`);
  }
  return bad;
}
