// Turns the records of an extent into rows. Runs over every byte of a log once, so the inner loop
// touches nothing but bytes below 0x1c.

import { RECORD_HEADER_BYTES, recordKind, recordLine, recordSize, recordStep, Kind } from '../../proto/record.ts';
import type { StyleTable } from '../ansi.ts';
import { parseEvent, showsRow } from './events.ts';
import { joinPieces, RowFlag, type Extent } from './extent.ts';
import type { Pen, Pens } from './pens.ts';

const LF = 10;
const CR = 13;
const BS = 8;
const ESC = 27;

/** Indexes the records at [from, extent.used) of the buffer. They are whole and checked. */
export function indexRecords(extent: Extent, from: number, pens: Pens, table: StyleTable): void {
  const buf = extent.buf!;
  for (let at = from; at < extent.used; ) {
    const size = recordSize(buf, at, extent.used);
    if (recordKind(buf, at) === Kind.event) indexEvent(extent, at, size, pens);
    else indexOutput(extent, at, size, pens, table);
    at += size;
  }
}

function indexOutput(e: Extent, at: number, size: number, pens: Pens, table: StyleTable): void {
  const buf = e.buf!;
  const err = recordKind(buf, at) === Kind.stderr;
  const pen = pens.get(recordStep(buf, at) * 2 + (err ? 1 : 0));
  const stream = err ? RowFlag.stderr : 0;
  const end = at + size;
  // The header counts the lines before it; that is the truth even where a writer left bytes out.
  let number = recordLine(buf, at);
  let start = at + RECORD_HEADER_BYTES;
  pen.record = at;
  for (let i = start; i < end; i++) {
    const b = buf[i]!;
    if (b > ESC) continue;
    if (b === LF) {
      number++;
      endLine(e, pen, start, i, at, stream, number, table);
      start = i + 1;
    } else if (b === CR) pen.returns++;
    else if (b === ESC) pen.flags |= RowFlag.escape;
    else if (b === BS) pen.flags |= RowFlag.moves;
  }
  if (end > start) pen.spans.push(start, end);
  e.lines = number - e.line0;
}

function endLine(e: Extent, pen: Pen, start: number, nl: number, at: number, stream: number, number: number, table: StyleTable): void {
  const buf = e.buf!;
  const escape = (pen.flags & RowFlag.escape) !== 0;
  let end = nl;
  if (pen.returns > 0 && end > start && buf[end - 1] === CR) {
    end--; // CRLF
    pen.returns--;
  } else if (pen.returns > 0 && end === start) dropLastReturn(pen, buf);
  let flags = stream | pen.flags | (pen.returns > 0 ? RowFlag.moves : 0);
  const { style } = pen;
  if (pen.empty) {
    if (escape && pen.passes(buf, start, end, table)) flags |= RowFlag.red;
    e.addRow(flags, start, end, style, at, number);
    pen.returns = pen.flags = 0;
    return;
  }
  if (end > start) pen.spans.push(start, end);
  if (escape) {
    const whole = joinPieces(pen, buf);
    pen.passes(whole, 0, whole.length, table);
  }
  addPieces(e, pen, flags, style, at, number);
}

/** Makes what a pen holds a row. */
function addPieces(e: Extent, pen: Pen, flags: number, style: number, at: number, number: number): void {
  const row = e.addRow(flags | RowFlag.multi, 0, 0, style, at, number);
  e.multi.set(row, { head: pen.head, skipped: pen.skipped, spans: pen.spans });
  pen.clear();
}

/** The newline is the first byte of its record and the CR before it the last of an earlier one. */
function dropLastReturn(pen: Pen, buf: Uint8Array): void {
  const n = pen.spans.length;
  if (n > 0) {
    if (buf[pen.spans[n - 1]! - 1] !== CR) return;
    if (--pen.spans[n - 1]! === pen.spans[n - 2]!) pen.spans.length = n - 2;
  } else if (pen.head && pen.head[pen.head.length - 1] === CR) {
    pen.head = pen.head.length === 1 ? null : pen.head.subarray(0, -1);
  } else return;
  pen.returns--;
}

function indexEvent(e: Extent, at: number, size: number, pens: Pens): void {
  const buf = e.buf!;
  const from = at + RECORD_HEADER_BYTES;
  const event = parseEvent(buf.subarray(from, at + size));
  const step = recordStep(buf, at);
  e.lines = Math.max(e.lines, recordLine(buf, at) - e.line0);
  if (event.name === 'step.finished' || event.name === 'step.retrying') flush(e, pens, step, at);
  else if (event.name === 'run.finished') flush(e, pens, -1, at);
  if (event.name === 'step.started' || event.name === 'step.finished') pens.forget(step);
  if (showsRow(event)) e.addRow(RowFlag.event, from, at + size, 0, at, 0);
}

/** Text that no newline will end any more becomes a row without a number. */
function flush(e: Extent, pens: Pens, step: number, at: number): void {
  for (const [key, pen] of pens.open(step)) {
    // Its own record may be in an earlier extent; then the event's stands for time and step.
    const record = pen.spans.length > 0 ? pen.record : at;
    const flags = pen.flags | RowFlag.open | (key & 1 ? RowFlag.stderr : 0) | (pen.returns > 0 ? RowFlag.moves : 0);
    addPieces(e, pen, flags, pen.style, record, 0);
  }
}
