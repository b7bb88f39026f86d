// The golden vectors that the C codec is tested with.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { decodeRecord, encodeRecord, recordSize, type RecordHeader } from '../../../ui/src/proto/record.ts';
import { decodeFrame, FrameType } from '../../../ui/src/proto/frame.ts';
import { crc32c } from '../../../ui/src/proto/crc32c.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array((hex.match(/../g) ?? []).map((h) => parseInt(h, 16)));
const hex = (b: Uint8Array): string => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');

interface RecordVector {
  name: string;
  hex: string;
  time_us: string;
  line: number;
  step: number;
  kind: number;
  flags: number;
  length: number;
  payload_hex: string;
}
interface FrameVector {
  name: string;
  hex: string;
  type: number;
  stream: number;
  payload_hex: string;
}
interface Refused {
  name: string;
  hex: string;
  why: string;
}

function load<T>(file: string): T {
  const path = `${__VECTORS__}/${file}`;
  assert.ok(existsSync(path), `${path} is missing`);
  return JSON.parse(readFileSync(path, 'utf8')) as T;
}

const records = load<{ records: RecordVector[]; refused: Refused[] }>('records.json');
const frames = load<{ frames: FrameVector[]; refused: Refused[] }>('frames.json');

test('the checksum is CRC-32C', () => {
  assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe3069283);
  const long = new Uint8Array(1000).map((_, i) => i * 7);
  for (const cut of [1, 7, 8, 9, 500]) assert.equal(crc32c(long, cut, 1000, crc32c(long, 0, cut)), crc32c(long));
});

test('every record vector decodes to its fields and encodes to its bytes', () => {
  assert.ok(records.records.length > 3);
  for (const v of records.records) {
    const d = decodeRecord(bytes(v.hex));
    assert.ok(d, v.name);
    const h: RecordHeader = d.header;
    // Times are numbers here: exact for the next 285 years, near enough beyond.
    const exact = Number.isSafeInteger(h.timeUs);
    assert.equal(h.timeUs, Number(v.time_us), v.name);
    assert.deepEqual([h.line, h.step, h.kind as number, h.flags, h.length], [v.line, v.step, v.kind, v.flags, v.length], v.name);
    assert.equal(hex(d.payload), v.payload_hex, v.name);
    if (exact) assert.equal(hex(encodeRecord(h, d.payload)), v.hex, v.name);
  }
});

test('every refused record is refused, an incomplete one waits for more', () => {
  for (const v of records.refused) {
    const b = bytes(v.hex);
    if (v.why === 'incomplete') assert.equal(decodeRecord(b), null, v.name);
    else assert.throws(() => decodeRecord(b));
  }
});

test('a record is never read past its end', () => {
  const b = bytes(records.records[0]!.hex);
  for (let n = 0; n < b.length; n++) assert.equal(decodeRecord(b.subarray(0, n)), null);
  assert.equal(recordSize(b, 0), b.length);
});

test('CHUNK and END frames decode; what a server never sends to a page is refused', () => {
  for (const v of frames.frames) {
    const b = bytes(v.hex);
    if (v.type !== FrameType.chunk && v.type !== FrameType.end) {
      assert.throws(() => decodeFrame(b));
      continue;
    }
    const f = decodeFrame(b);
    assert.equal(f.type as number, v.type, v.name);
    assert.equal(f.stream, v.stream, v.name);
    const payload = bytes(v.payload_hex);
    assert.equal(f.offset, Number(new DataView(payload.buffer).getBigUint64(0, true)), v.name);
    if (f.type === FrameType.chunk) assert.equal(hex(f.records), hex(payload.subarray(8)), v.name);
    else assert.equal(f.reason as number, new DataView(payload.buffer).getUint16(8, true), v.name);
  }
});

test('every refused frame is refused', () => {
  for (const v of frames.refused) assert.throws(() => decodeFrame(bytes(v.hex)));
});
