// What passes between the HTTP process and those that hold the engine: frames over a pipe. A frame is eight bytes (u32 the
// payload's length, u8 kind, u8 version of this wire, u16 nothing, little-endian) and its payload. What is there for every
// batch is arrays of numbers, in the order of the machine's bytes: both ends are on it. What is rare is JSON.

/** Ends that differ do not talk: a package may be replaced under a server that starts a process again. */
export const WIRE_VERSION = 1;

/** A batch of 65,536 tokens is a third of a megabyte. Larger lengths are not what was written. */
export const MOST_PAYLOAD_BYTES = 64 * 2 ** 20;

const HEADER = 8;

/** What frames say: the first five to an inference process, the others from it. */
export const FrameKind = {
  /** JSON, as all that is not said otherwise (calls.ts). The first frame. */
  start: 1,
  open: 2,
  close: 3,
  /** Numbers (messages.ts). */
  batch: 4,
  ping: 5,
  /** The answer to start. */
  ready: 16,
  /** The answer to open and to close. */
  opened: 17,
  /** Numbers. */
  part: 18,
  done: 19,
  /** The answer to start, open, close or batch. */
  failed: 20,
  pong: 21,
} as const;

export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

const known: ReadonlySet<number> = new Set(Object.values(FrameKind));

/** Bytes that are no frames of this wire: whoever sent them is not asked again. */
export class WireError extends Error {}

/** A frame to be written, and where its payload begins: at a multiple of four. */
export function emptyFrame(kind: FrameKind, payloadBytes: number): { readonly frame: Uint8Array; readonly at: number } {
  if (payloadBytes > MOST_PAYLOAD_BYTES) {
    throw new WireError(`a frame would have ${payloadBytes} bytes; it may have ${MOST_PAYLOAD_BYTES}`);
  }
  const frame = new Uint8Array(HEADER + payloadBytes);
  new DataView(frame.buffer).setUint32(0, payloadBytes, true);
  frame[4] = kind;
  frame[5] = WIRE_VERSION;
  return { frame, at: HEADER };
}

export function encodeJson(kind: FrameKind, value: object): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value));
  const { frame, at } = emptyFrame(kind, text.length);
  frame.set(text, at);
  return frame;
}

export function decodeJson<T extends object>(payload: ArrayBuffer): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (error) {
    throw new WireError(`a frame's payload is no JSON (${(error as Error).message})`);
  }
  if (typeof value !== "object" || value === null) throw new WireError("a frame's payload is no JSON object");
  return value as T;
}

/**
 * Takes bytes as they come and calls with each frame that is whole. Each payload is copied once, to a buffer of its own, so
 * that arrays in it are read where they lie. Throws WireError, and then for everything that follows.
 */
export function frameReader(onFrame: (kind: FrameKind, payload: ArrayBuffer) => void): (chunk: Uint8Array) => void {
  const header = new Uint8Array(HEADER);
  let headed = 0;
  let payload: Uint8Array<ArrayBuffer> | null = null;
  let filled = 0;
  let broken: WireError | null = null;

  const begin = (): Uint8Array<ArrayBuffer> => {
    const length = new DataView(header.buffer).getUint32(0, true);
    const [kind, version] = [header[4] as number, header[5] as number];
    if (version !== WIRE_VERSION) {
      throw new WireError(
        `the other process speaks version ${version}, this one ${WIRE_VERSION}. Start the server again`,
      );
    }
    if (!known.has(kind) || header[6] !== 0 || header[7] !== 0) throw new WireError(`no frame has the kind ${kind}`);
    if (length > MOST_PAYLOAD_BYTES) {
      throw new WireError(`a frame has ${length} bytes; it may have ${MOST_PAYLOAD_BYTES}`);
    }
    return new Uint8Array(length);
  };
  const take = (chunk: Uint8Array): void => {
    let from = 0;
    while (from < chunk.length || payload !== null) {
      if (payload === null) {
        const part = chunk.subarray(from, from + HEADER - headed);
        header.set(part, headed);
        headed += part.length;
        from += part.length;
        if (headed < HEADER) return;
        payload = begin();
        filled = 0;
      }
      const part = chunk.subarray(from, from + payload.length - filled);
      payload.set(part, filled);
      filled += part.length;
      from += part.length;
      if (filled < payload.length) return;
      const whole = payload.buffer;
      payload = null;
      headed = 0;
      onFrame(header[4] as FrameKind, whole);
    }
  };
  return (chunk) => {
    if (broken) throw broken;
    try {
      take(chunk);
    } catch (error) {
      if (error instanceof WireError) broken = error;
      throw error;
    }
  };
}

/** Reads a payload from its beginning; every array is where it lies in it. Throws WireError beyond its end. */
export function payloadReader(payload: ArrayBuffer) {
  let at = 0;
  const next = (bytes: number): number => {
    const from = at;
    if (bytes > payload.byteLength - from) {
      throw new WireError(`a frame ends after ${payload.byteLength} bytes, ${from + bytes} were expected`);
    }
    at += bytes;
    return from;
  };
  return {
    u32: () => new Uint32Array(payload, next(4), 1)[0] as number,
    f32: () => new Float32Array(payload, next(4), 1)[0] as number,
    u32s: (count: number) => new Uint32Array(payload, next(4 * count), count),
    i32s: (count: number) => new Int32Array(payload, next(4 * count), count),
    f32s: (count: number) => new Float32Array(payload, next(4 * count), count),
    u8s: (count: number) => new Uint8Array(payload, next(count), count),
    end(): void {
      if (at < payload.byteLength) throw new WireError(`a frame has ${payload.byteLength - at} bytes too many`);
    },
  };
}
