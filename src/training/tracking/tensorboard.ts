// TensorBoard event files beside metrics.jsonl. Format: TFRecords (length, masked CRC-32C, bytes, masked CRC-32C;
// tensorflow/core/lib/io/record_writer.h) of Event messages (tensorflow/core/util/event.proto), scalars alone.

import { appendFile, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { maskedCrc32c } from "../../checkpoints/formats/crc32c";
import type { Reporter } from "../../messages/reporter";
import type { TrackedRun, TrackedSession, Tracker } from "./tracker";

/** TensorBoard looks for "tfevents" in a name, and reads a folder's files by name: by time, that is. */
const eventFile = /^events\.out\.tfevents\.\d+\.flexbert\./;

export function tensorBoardTracker(reporter: Pick<Reporter, "warn">): Tracker {
  return { begin: (run) => beginEventFile(run, reporter) };
}

async function beginEventFile(run: TrackedRun, reporter: Pick<Reporter, "warn">): Promise<TrackedSession> {
  const { folder, step } = run;
  const seconds = String(Math.floor(Date.now() / 1000)).padStart(10, "0");
  let file: string | null = null;
  const write = async (events: readonly Uint8Array[]) => {
    if (file === null) return;
    try {
      // One write: what a killed process leaves is whole records, or one cut off at the end, which readers skip.
      await appendFile(file, Buffer.concat(events.map(record)));
    } catch (error) {
      reporter.warn(`${file}: ${(error as Error).message}. TensorBoard sees no more of ${run.label}; it trains on`);
      file = null;
    }
  };
  try {
    const before = (await readdir(folder)).filter((name) => eventFile.test(name));
    // Those of a run that is trained anew speak of weights that are gone.
    if (step === 0) for (const name of before) await rm(path.join(folder, name), { force: true });
    const number = String(before.length).padStart(4, "0");
    file = path.join(folder, `events.out.tfevents.${seconds}.flexbert.${number}`);
  } catch (error) {
    reporter.warn(`${folder}: ${(error as Error).message}. TensorBoard sees nothing of ${run.label}; it trains on`);
  }
  // A start at a step makes TensorBoard forget later ones: those that a stopped process had gone beyond its saved state.
  await write([
    event(0, (writer) => writer.tag(3, WireType.LengthDelimited).string("brain.Event:2")),
    event(step + 1, sessionStart),
  ]);
  return {
    async log(at, values) {
      const scalars = Object.entries(values).filter(([, value]) => value !== null && Number.isFinite(value));
      if (scalars.length > 0) await write([event(at, (writer) => summary(writer, scalars as [string, number][]))]);
    },
    end: async () => undefined, // every event is in the file
  };
}

/** Event: wall_time = 1, step = 2, and what `body` writes. */
function event(step: number, body: (writer: BinaryWriter) => unknown): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Bit64).double(Date.now() / 1000);
  writer.tag(2, WireType.Varint).int64(step);
  body(writer);
  return writer.finish();
}

/** session_log = 7, whose status = 1 is START = 1. */
function sessionStart(writer: BinaryWriter): void {
  writer.tag(7, WireType.LengthDelimited).fork();
  writer.tag(1, WireType.Varint).int32(1);
  writer.join();
}

/** summary = 5 of value = 1 with tag = 1 and simple_value = 2. */
function summary(writer: BinaryWriter, scalars: readonly (readonly [string, number])[]): void {
  writer.tag(5, WireType.LengthDelimited).fork();
  for (const [tag, value] of scalars) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(tag);
    writer.tag(2, WireType.Bit32).float(value);
    writer.join();
  }
  writer.join();
}

function record(bytes: Uint8Array): Buffer {
  const framed = Buffer.alloc(12 + bytes.length + 4);
  framed.writeBigUInt64LE(BigInt(bytes.length), 0);
  framed.writeUInt32LE(maskedCrc32c(framed.subarray(0, 8)), 8);
  framed.set(bytes, 12);
  framed.writeUInt32LE(maskedCrc32c(bytes), 12 + bytes.length);
  return framed;
}
