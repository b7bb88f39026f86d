// The record of proto/record.h: what the runner writes to the journal is what the viewer reads.
// All integers are little-endian. Offsets are JavaScript numbers: exact up to 2^53 bytes.

import { crc32c } from './crc32c.ts';

export const RECORD_HEADER_BYTES = 24;
export const RECORD_MAX_PAYLOAD = 65536;
export const RECORD_STEP_RUN = 0xffff;
export const RECORD_FLAG_MASKED = 1;

export const enum Kind {
  stdout = 1,
  stderr = 2,
  event = 3,
}

export interface RecordHeader {
  /** Payload bytes. */
  length: number;
  crc: number;
  timeUs: number;
  /** Newlines in the journal's stdout and stderr records before this one. */
  line: number;
  step: number;
  kind: Kind;
  flags: number;
}

export class RecordError extends Error {
  override name = 'RecordError';
}

function u16(d: Uint8Array, o: number): number {
  return d[o]! | (d[o + 1]! << 8);
}

export function u32(d: Uint8Array, o: number): number {
  return (d[o]! | (d[o + 1]! << 8) | (d[o + 2]! << 16) | (d[o + 3]! << 24)) >>> 0;
}

export function u64(d: Uint8Array, o: number): number {
  return u32(d, o) + u32(d, o + 4) * 4294967296;
}

/** Size of the whole record at `o`, or 0 when fewer than 24 bytes are there. Throws on a header no
 * writer makes. */
export function recordSize(d: Uint8Array, o: number, end = d.length): number {
  if (end - o < RECORD_HEADER_BYTES) return 0;
  const length = u32(d, o);
  const kind = d[o + 22]!;
  if (length > RECORD_MAX_PAYLOAD) throw new RecordError(`record of ${length} bytes`);
  if (kind < 1 || kind > 3) throw new RecordError(`record kind ${kind}`);
  if ((d[o + 23]! & ~RECORD_FLAG_MASKED) !== 0) throw new RecordError(`record flags ${d[o + 23]}`);
  return RECORD_HEADER_BYTES + length;
}

export function recordTime(d: Uint8Array, o: number): number {
  return u64(d, o + 8);
}
export function recordLine(d: Uint8Array, o: number): number {
  return u32(d, o + 16);
}
export function recordStep(d: Uint8Array, o: number): number {
  return u16(d, o + 20);
}
export function recordKind(d: Uint8Array, o: number): Kind {
  return d[o + 22]! as Kind;
}

/** Throws unless the checksum of the whole record at `o` (of `size` bytes) holds. */
export function recordVerify(d: Uint8Array, o: number, size: number): void {
  if (crc32c(d, o + 8, o + size) !== u32(d, o + 4)) throw new RecordError('record checksum');
}

/** Decodes and verifies the record at `o`; null when it is not there whole. */
export function decodeRecord(
  d: Uint8Array,
  o = 0,
): { header: RecordHeader; payload: Uint8Array; size: number } | null {
  const size = recordSize(d, o);
  if (size === 0 || d.length - o < size) return null;
  recordVerify(d, o, size);
  return {
    header: {
      length: size - RECORD_HEADER_BYTES,
      crc: u32(d, o + 4),
      timeUs: recordTime(d, o),
      line: recordLine(d, o),
      step: recordStep(d, o),
      kind: recordKind(d, o),
      flags: d[o + 23]!,
    },
    payload: d.subarray(o + RECORD_HEADER_BYTES, o + size),
    size,
  };
}

/** Writes one record: for tests and tools, the page itself never writes a journal. */
export function encodeRecord(h: Omit<RecordHeader, 'length' | 'crc'>, payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(RECORD_HEADER_BYTES + payload.length);
  const v = new DataView(out.buffer);
  v.setUint32(0, payload.length, true);
  v.setBigUint64(8, BigInt(h.timeUs), true);
  v.setUint32(16, h.line, true);
  v.setUint16(20, h.step, true);
  v.setUint8(22, h.kind);
  v.setUint8(23, h.flags);
  out.set(payload, RECORD_HEADER_BYTES);
  v.setUint32(4, crc32c(out, 8), true);
  return out;
}
