// The icon sprite (from lucide), the favicons that carry a run's state, and the application's icon.
import * as fs from 'node:fs';
import * as zlib from 'node:zlib';

/** One SVG with a <symbol> an icon, so that a page loads them once. */
export function iconSprite(names) {
  const symbols = names.map((name) => {
    const svg = fs.readFileSync(`node_modules/lucide-static/icons/${name}.svg`, 'utf8').replace(/<!--[\s\S]*?-->/g, '');
    const inner = /<svg[^>]*>([\s\S]*)<\/svg>/.exec(svg)[1];
    return `<symbol id="${name}" viewBox="0 0 24 24">${inner.replace(/\s+/g, ' ').replace(/ ?\/> ?/g, '/>').trim()}</symbol>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join('')}</svg>\n`;
}

// The mark: a prompt in a rounded square.
const MARK = 'M10 11.5l4.5 4.5-4.5 4.5M17.5 21h5';
const COLOURS = { idle: '#6b55df', running: '#0f7fc4', waiting: '#a76a0a', ok: '#12874a', failed: '#c9303a' };

export function favicons() {
  const out = {};
  for (const [state, colour] of Object.entries(COLOURS)) {
    out[state] =
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="9" fill="${colour}"/>` +
      `<path d="${MARK}" fill="none" stroke="#fff" stroke-width="2.75" stroke-linecap="round" stroke-linejoin="round"/></svg>\n`;
  }
  return out;
}

/** The same mark as a PNG, drawn here: no image tool is needed to build. Full bleed, so that a
 * system may cut its own shape out of it. */
export function appIcon(size) {
  const segments = [
    [10, 11.5, 14.5, 16],
    [14.5, 16, 10, 20.5],
    [17.5, 21, 22.5, 21],
  ];
  const scale = 32 / size;
  const half = 2.75 / 2;
  const rows = Buffer.alloc(size * (1 + size * 4));
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const px = (x + 0.5) * scale;
      const py = (y + 0.5) * scale;
      let d = Infinity;
      for (const [ax, ay, bx, by] of segments) d = Math.min(d, distance(px, py, ax, ay, bx, by));
      const cover = Math.max(0, Math.min(1, (half - d) / scale + 0.5));
      const o = y * (1 + size * 4) + 1 + x * 4;
      [0x6b, 0x55, 0xdf].forEach((v, i) => (rows[o + i] = Math.round(v + (255 - v) * cover)));
      rows[o + 3] = 255;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header[8] = 8; // bits a channel
  header[9] = 6; // RGBA
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', zlib.deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function distance(px, py, ax, ay, bx, by) {
  const dx = bx - ax;
  const dy = by - ay;
  const t = Math.max(0, Math.min(1, ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy)));
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

function crc32(data) {
  let c = ~0;
  for (const b of data) {
    c ^= b;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return ~c >>> 0;
}
