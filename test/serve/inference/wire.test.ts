// Frames between the HTTP process and those that hold the engine: what goes in comes out however the bytes are cut, and what
// no end of this wire wrote is refused.

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { eachRowLogits } from "../../../src/batches/row-logits";
import type { BatchRow } from "../../../src/serve/inference/inference";
import {
  callOf,
  decodeBatch,
  decodeDone,
  decodePart,
  decodePong,
  encodeBatch,
  encodeDone,
  encodePart,
  encodePong,
} from "../../../src/serve/inference/messages";
import {
  decodeJson,
  emptyFrame,
  encodeJson,
  FrameKind,
  frameReader,
  MOST_PAYLOAD_BYTES,
  WIRE_VERSION,
  WireError,
} from "../../../src/serve/inference/wire";

/** Rows of three tokens. */
const tokens = (count: number) => Array.from({ length: count }, () => ({ ids: new Int32Array(3) }));

type Read = [kind: FrameKind, payload: ArrayBuffer];

/** The frames of bytes that come in pieces of these sizes, over and over. */
function readIn(bytes: Uint8Array, sizes: readonly number[]): Read[] {
  const frames: Read[] = [];
  const read = frameReader((kind, payload) => void frames.push([kind, payload]));
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    read(bytes.subarray(at, at + size));
    at += size;
  }
  return frames;
}
const joined = (...frames: Uint8Array[]) => new Uint8Array(Buffer.concat(frames));
const only = (frame: Uint8Array) => (readIn(frame, [frame.length])[0] as Read)[1];

const names = (count: number) => Array.from({ length: count }, (_, i) => `task-${i}`);
const rowsOf = (tasks: readonly string[]) =>
  fc.array(
    fc.record({
      ids: fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 20 }),
      type: fc.integer({ min: 0, max: 255 }),
      tasks: fc.subarray([...tasks]),
    }),
    { maxLength: 12 },
  );
const batchRow = ({ ids, type, tasks }: { ids: number[]; type: number; tasks: string[] }): BatchRow => ({
  ids: Int32Array.from(ids),
  typeIds: new Int32Array(ids.length).fill(type),
  tasks,
});

describe("round trips", () => {
  test("batches of any rows, with more tasks than a word has bits", () => {
    const cases = fc
      .constantFrom(1, 5, 31, 32, 33, 70)
      .chain((count) => fc.tuple(fc.constant(names(count)), rowsOf(names(count))));
    fc.assert(
      fc.property(cases, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), ([tasks, given], sizes) => {
        const rows = given.map(batchRow);
        const frame = encodeBatch({ call: 7, version: 3 }, rows, tasks);
        const [[kind, payload]] = readIn(frame, sizes) as [Read];
        expect(kind).toBe(FrameKind.batch);
        const read = decodeBatch(payload, (version) => (version === 3 ? tasks : null));
        if (!("rows" in read)) throw new Error("the version was not found");
        expect([read.call, read.version]).toEqual([7, 3]);
        expect(read.wants).toEqual(rows.map((row) => tasks.filter((task) => row.tasks.includes(task))));
        expect(Array.from(read.rows.lengths)).toEqual(rows.map(({ ids }) => ids.length));
        for (const [i, row] of rows.entries()) {
          expect(read.rows.ids.at(i)).toEqual(row.ids);
          expect(read.rows.typeIds.at(i)).toEqual(row.typeIds);
        }
      }),
    );
  });

  test("how much doubt a row may leave, and the layers that it passed", () => {
    const row = batchRow({ ids: [1, 2], type: 0, tasks: ["rte"] });
    const exits = [undefined, -1, 0, 0.1, Number.MIN_VALUE];
    const frame = encodeBatch(
      { call: 1, version: 1 },
      exits.map((exit) => ({ ...row, exit })),
      ["rte"],
    );
    const read = decodeBatch(only(frame), () => ["rte"]);
    if (!("exits" in read)) throw new Error("the version was not found");
    expect(Array.from(read.exits)).toEqual([Number.POSITIVE_INFINITY, ...exits.slice(1)]);
    const part = { task: 0, rows: [0, 1], logits: [1, 2, 3, 4], outputs: 2, at: 0 };
    const layerOf = (layer?: number) => decodePart(only(encodePart(1, { ...part, layer })), ["rte"], tokens(2)).layer;
    expect([layerOf(), layerOf(7)]).toEqual([undefined, 7]);
  });

  test("parts bit for bit, and what a batch was", () => {
    const tasks = ["rte", "größe"];
    const logits = Float32Array.from([Math.PI, -0, Number.NaN, 1e-42, Number.MAX_VALUE, -1]);
    const part = only(encodePart(9, { task: 1, rows: [4, 0, 2], logits, outputs: 2, at: 1.5 }));
    expect(callOf(part)).toBe(9);
    const read = decodePart(part, tasks, tokens(5));
    expect(read).toMatchObject({ task: "größe", rows: [4, 0, 2], outputs: 2, at: 1.5 });
    expect(new Uint32Array(read.logits.slice().buffer)).toEqual(new Uint32Array(logits.buffer));

    const pieces = ["layers 0-4", "größe", "größe"].map((piece, i) => ({
      piece,
      rows: i,
      tokens: 9,
      layers: 2,
      ms: 0.25,
    }));
    const done = only(encodeDone(9, { ms: 12.5, pieces }));
    expect([callOf(done), decodeDone(done)]).toEqual([9, { ms: 12.5, pieces }]);
    expect(decodeDone(only(encodeDone(0, { ms: 0, pieces: [] })))).toEqual({ ms: 0, pieces: [] });
    const pulse = { rssBytes: 5e9 - (5e9 % 1024), graphs: 12, handles: 3 };
    expect(decodePong(only(encodePong(pulse)))).toEqual(pulse);
  });

  test("many frames in one piece, one frame in many, empty ones among them", () => {
    const frames = [
      encodeJson(FrameKind.open, { version: "ä" }),
      emptyFrame(FrameKind.ping, 0).frame,
      encodeJson(FrameKind.close, {}),
    ];
    for (const sizes of [[1], [7], [1000]]) {
      const read = readIn(joined(...frames), sizes);
      expect(read.map(([kind]) => kind)).toEqual([FrameKind.open, FrameKind.ping, FrameKind.close]);
      expect(decodeJson(read[0]?.[1] as ArrayBuffer)).toEqual({ version: "ä" });
    }
  });
});

test("rows that are not the version's are refused where they are written", () => {
  const row = { ids: Int32Array.of(1, 2), typeIds: Int32Array.of(0, 0), tasks: ["rte"] };
  const head = { call: 1, version: 1 };
  expect(() => encodeBatch(head, [{ ...row, tasks: ["cola"] }], ["rte"])).toThrow(/asks for cola/);
  expect(() => encodeBatch(head, [{ ...row, typeIds: Int32Array.of(0) }], ["rte"])).toThrow(/2 ids and 1 type ids/);
});

test("a batch for a version that is not open is told by its number alone", () => {
  const frame = encodeBatch({ call: 5, version: 8 }, [], []);
  expect(decodeBatch(only(frame), () => null)).toEqual({ call: 5, version: 8 });
});

describe("hostile bytes", () => {
  const headed = (change: (view: DataView) => void) => {
    const { frame } = emptyFrame(FrameKind.ping, 0);
    change(new DataView(frame.buffer));
    return frame;
  };
  test.each([
    ["a length beyond the bound", headed((view) => view.setUint32(0, MOST_PAYLOAD_BYTES + 1, true)), /may have/],
    ["a kind that there is not", headed((view) => view.setUint8(4, 99)), /kind 99/],
    ["another version", headed((view) => view.setUint8(5, WIRE_VERSION + 1)), /version 2.*Start the server again/],
    ["bytes that are to be zero", headed((view) => view.setUint8(7, 1)), /kind/],
  ])("%s ends the reading for good", (_, frame, message) => {
    const read = frameReader(() => undefined);
    expect(() => read(frame)).toThrow(message);
    expect(() => read(emptyFrame(FrameKind.ping, 0).frame)).toThrow(WireError);
  });

  test("nothing is held for a length beyond the bound, and no frame is written beyond it", () => {
    expect(() => emptyFrame(FrameKind.batch, MOST_PAYLOAD_BYTES + 1)).toThrow(WireError);
  });

  test("any payload is decoded or is a WireError", () => {
    const tasks = names(3);
    const row = { ids: Int32Array.of(5, 6, 7), typeIds: Int32Array.of(0, 0, 1), tasks };
    const good = [
      encodeBatch({ call: 1, version: 1 }, [row, row], tasks),
      encodePart(1, { task: 2, rows: [0, 1], logits: [1, 2, 3, 4], outputs: 2, at: 1 }),
      encodeDone(1, { ms: 1, pieces: [{ piece: "a", rows: 1, tokens: 1, layers: 1, ms: 1 }] }),
      encodePong({ rssBytes: 1024, graphs: 1, handles: 1 }),
      encodeJson(FrameKind.open, { call: 1 }),
    ];
    const decoders = [
      (payload: ArrayBuffer) => decodeBatch(payload, () => tasks),
      (payload: ArrayBuffer) => decodePart(payload, tasks, tokens(2)),
      decodeDone,
      decodePong,
      decodeJson,
    ];
    let refused = 0;
    const damage = fc.record({
      which: fc.nat(good.length - 1),
      cut: fc.nat(80),
      at: fc.nat(80),
      value: fc.constantFrom(0, 1, 7, 255),
      more: fc.uint8Array({ maxLength: 6 }),
    });
    fc.assert(
      fc.property(damage, ({ which, cut, at, value, more }) => {
        const whole = (good[which] as Uint8Array).slice(8);
        if (at < whole.length) whole[at] = value;
        const bytes = joined(whole.subarray(0, Math.max(0, whole.length - cut)), more);
        try {
          (decoders[which] as (payload: ArrayBuffer) => unknown)(bytes.buffer as ArrayBuffer);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
          refused += 1;
        }
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(1000);
  });

  test.each<[string, (u32: Uint32Array) => void, RegExp]>([
    ["lengths that are not the tokens'", (u32) => u32.set([1], 5), /rows of 4 tokens came with 6/],
    ["a row without tokens", (u32) => u32.set([0], 5), /row 0 of a batch has no tokens/],
    ["a task that there is not", (u32) => u32.set([8], 7), /asks for tasks that there are not/],
    ["more rows than it has room for", (u32) => u32.set([0xffffffff], 2), /were expected/],
  ])("a batch with %s", (_, spoil, message) => {
    const row = { ids: Int32Array.of(5, 6, 7), typeIds: Int32Array.of(0, 0, 1), tasks: names(3) };
    const payload = only(encodeBatch({ call: 1, version: 1 }, [row, row], names(3)));
    spoil(new Uint32Array(payload, 0, 9));
    expect(() => decodeBatch(payload, () => names(3))).toThrow(message);
  });

  test("logits of every token of some rows, told by their number", () => {
    const logits = Float32Array.from({ length: 2 * (3 + 2) }, (_, i) => i);
    const part = only(encodePart(1, { task: 0, rows: [1, 0], logits, outputs: 2, at: 0 }));
    const batch = [2, 3].map((length) => ({ ids: new Int32Array(length) }));
    const read = decodePart(part, ["slots"], batch);
    expect(Array.from(read.logits)).toEqual(Array.from(logits));
    const tokensOf = (row: number) => (batch[row] as (typeof batch)[number]).ids.length;
    const each = [...eachRowLogits(read.rows, read.logits, read.outputs, tokensOf)];
    expect(each.map(({ row, logits: own }) => [row, Array.from(own)])).toEqual([
      [1, [0, 1, 2, 3, 4, 5]],
      [0, [6, 7, 8, 9]],
    ]);
    const torn = only(encodePart(1, { task: 0, rows: [1, 0], logits: logits.subarray(2), outputs: 2, at: 0 }));
    expect(() => decodePart(torn, ["slots"], batch)).toThrow(/too many/);
  });

  test("logits for a task or a row that there is not", () => {
    const part = only(encodePart(1, { task: 1, rows: [2], logits: [1], outputs: 1, at: 0 }));
    expect(() => decodePart(part, ["a"], tokens(3))).toThrow(/task 1 of 1/);
    expect(() => decodePart(part, ["a", "b"], tokens(2))).toThrow(/row beyond the batch's 2/);
  });
});
