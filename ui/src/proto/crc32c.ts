// CRC-32C (Castagnoli), reflected, as in proto/crc32c.h. Eight bytes a step ("slicing by 8"):
// the worker checks every record it is handed, so this runs over each byte of a log once.

const POLYNOMIAL = 0x82f63b78;
const T = makeTables();

function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    tables[n] = c >>> 0;
  }
  for (let n = 0; n < 256; n++) {
    let c = tables[n]!;
    for (let slice = 1; slice < 8; slice++) {
      c = tables[c & 0xff]! ^ (c >>> 8);
      tables[slice * 256 + n] = c >>> 0;
    }
  }
  return tables;
}

/** The checksum of the bytes whose checksum is `crc` (0 for none) followed by data[from, to). */
export function crc32c(data: Uint8Array, from = 0, to = data.length, crc = 0): number {
  let c = ~crc;
  let i = from;
  for (const end = to - 7; i < end; i += 8) {
    c =
      T[1792 + ((data[i]! ^ c) & 0xff)]! ^
      T[1536 + ((data[i + 1]! ^ (c >>> 8)) & 0xff)]! ^
      T[1280 + ((data[i + 2]! ^ (c >>> 16)) & 0xff)]! ^
      T[1024 + ((data[i + 3]! ^ (c >>> 24)) & 0xff)]! ^
      T[768 + data[i + 4]!]! ^
      T[512 + data[i + 5]!]! ^
      T[256 + data[i + 6]!]! ^
      T[data[i + 7]!]!;
  }
  for (; i < to; i++) c = T[(c ^ data[i]!) & 0xff]! ^ (c >>> 8);
  return ~c >>> 0;
}
