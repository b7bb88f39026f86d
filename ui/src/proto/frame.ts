// The frames of proto/frame.h that reach a browser: CHUNK and END, as binary WebSocket messages.

import { u32, u64 } from './record.ts';

export const FRAME_HEADER_BYTES = 16;
export const FRAME_MAX_PAYLOAD = 1024 * 1024;
export const FRAME_VERSION = 1;
/** Record bytes a new log subscription may be sent before it gives credit. */
export const INITIAL_CREDIT = 1024 * 1024;
export const CHUNK_PREFIX_BYTES = 8;

export const enum FrameType {
  chunk = 3,
  end = 6,
}

/** Why a log stream ended. */
export const enum EndReason {
  finished = 1,
  closed = 2,
  pruned = 3,
  /** The journal is shorter than the offset: start again from 0. */
  shortened = 4,
  shutdown = 5,
}

export type Frame =
  | { type: FrameType.chunk; stream: number; offset: number; records: Uint8Array }
  | { type: FrameType.end; stream: number; offset: number; reason: EndReason };

export class FrameError extends Error {
  override name = 'FrameError';
}

/** Decodes one whole binary message. Throws on anything the server never sends. */
export function decodeFrame(message: ArrayBuffer | Uint8Array): Frame {
  const d = message instanceof Uint8Array ? message : new Uint8Array(message);
  if (d.length < FRAME_HEADER_BYTES) throw new FrameError(`frame of ${d.length} bytes`);
  const length = u32(d, 0);
  if (length > FRAME_MAX_PAYLOAD) throw new FrameError(`frame payload of ${length} bytes`);
  if (d[4] !== FRAME_VERSION) throw new FrameError(`frame version ${d[4]}`);
  if (d[6] !== 0 || d[7] !== 0 || u32(d, 12) !== 0) throw new FrameError('reserved bytes of a frame');
  if (d.length !== FRAME_HEADER_BYTES + length) throw new FrameError('frame length');
  const stream = u32(d, 8);
  switch (d[5]) {
    case FrameType.chunk:
      if (length < CHUNK_PREFIX_BYTES) throw new FrameError(`chunk of ${length} bytes`);
      return {
        type: FrameType.chunk,
        stream,
        offset: u64(d, 16),
        records: d.subarray(FRAME_HEADER_BYTES + CHUNK_PREFIX_BYTES),
      };
    case FrameType.end:
      if (length !== 10) throw new FrameError(`end of ${length} bytes`);
      return { type: FrameType.end, stream, offset: u64(d, 16), reason: (d[24]! | (d[25]! << 8)) as EndReason };
    default:
      throw new FrameError(`frame type ${d[5]}`);
  }
}
