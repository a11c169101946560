// The process that holds the engine, started by connection.ts: it reads frames from a pipe, runs one batch after the other,
// and writes each task's part before it runs on, because a run of the engine blocks this process's loop. It ends when the
// pipe does, and so with whoever started it, however that ended.

import { Socket } from "node:net";
import type { Engine } from "../../engines/engine";
import { DeviceLost } from "../../engines/onnx/device/failures";
import { UserError } from "../../errors/errors";
import type { Answer, CloseCall, Failed, OpenCall, Ready, Settings } from "./calls";
import type { PieceTime } from "./inference";
import { type BatchHead, type DecodedBatch, decodeBatch, encodeDone, encodePart, encodePong } from "./messages";
import { openTurns } from "./turns";
import type { HeldVersion, Versions } from "./versions";
import { decodeJson, encodeJson, FrameKind, frameReader } from "./wire";

/** The pipe's place among the open files that the process begins with. */
export const PIPE = 3;

function serve(): void {
  const socket = new Socket({ fd: PIPE });
  /** Ends when the bytes are the kernel's, and not before: what follows may block the loop. */
  const send = (frame: Uint8Array) => new Promise<void>((resolve) => void socket.write(frame, () => resolve()));
  const fail = (call: number, error: unknown) => send(encodeJson(FrameKind.failed, describeFailure(call, error)));

  const turns = openTurns();
  const held = new Map<number, HeldVersion>();
  let engine: Engine | undefined;
  let versions: Versions | undefined;
  let work: Promise<void> = Promise.resolve();

  /** One after the other, beside the batches. */
  const inOrder = (call: number, act: () => Promise<void>) => {
    work = work.then(act).catch((error) => fail(call, error));
  };
  const start = async (settings: Settings) => {
    const { openEngine } = await import("../../engines/open.js");
    const { openVersions } = await import("./versions.js");
    const { engine: name, device, threads, verbose } = settings;
    ({ engine } = await openEngine(name, { device, threads, verbose }));
    versions = openVersions(engine, settings, turns.pace);
    await send(encodeJson(FrameKind.ready, { engine: engine.summary, threads: engine.threads } satisfies Ready));
  };
  const open = async ({ call, version, number }: OpenCall) => {
    if (!versions) throw new Error("a version was to be opened before the engine was");
    const { run, dispose, leaving, ...opened } = await versions.open(version);
    held.set(number, { run, dispose, leaving, ...opened });
    await send(encodeJson(FrameKind.opened, { call, opened } satisfies Answer));
  };
  const close = async ({ call, number }: CloseCall) => {
    await turns.after(); // batches that came before it
    held.get(number)?.dispose();
    held.delete(number);
    await send(encodeJson(FrameKind.opened, { call } satisfies Answer));
  };
  const run = (batch: DecodedBatch | BatchHead) =>
    void turns
      .run(async () => {
        const model = held.get(batch.version);
        if (!model || !("rows" in batch)) throw new Error("a batch came for a version that is not open");
        const { call, rows, wants, exits } = batch;
        const began = performance.now();
        const pieces: PieceTime[] = [];
        const onPiece = (piece: PieceTime) => void pieces.push(piece);
        for await (const { task, rows: own, logits, layer } of model.run(
          rows,
          wants,
          onPiece,
          model.leaving(wants, exits),
        )) {
          const at = performance.now() - began;
          const outputs = logits.shape[1] as number;
          await send(
            encodePart(call, { task: model.tasks.indexOf(task), rows: own, logits: logits.data, outputs, layer, at }),
          );
        }
        await send(encodeDone(call, { ms: performance.now() - began, pieces }));
      })
      .catch((error) => (error instanceof DeviceLost ? giveUp(error) : fail(batch.call, error)));
  const pong = () =>
    send(
      encodePong({
        rssBytes: process.memoryUsage.rss(),
        graphs: engine?.tensorCount() ?? 0,
        handles: process.getActiveResourcesInfo().length,
      }),
    );

  const onFrame = (kind: number, payload: ArrayBuffer): void => {
    if (kind === FrameKind.batch) run(decodeBatch(payload, (number) => held.get(number)?.tasks ?? null));
    else if (kind === FrameKind.ping) void pong();
    else if (kind === FrameKind.start) inOrder(0, () => start(decodeJson<Settings>(payload)));
    else if (kind === FrameKind.open) {
      const call = decodeJson<OpenCall>(payload);
      inOrder(call.call, () => open(call));
    } else if (kind === FrameKind.close) {
      const call = decodeJson<CloseCall>(payload);
      inOrder(call.call, () => close(call));
    } else throw new Error(`a frame of the kind ${kind} came to the process that sends it`);
  };
  const read = frameReader(onFrame);
  socket.on("data", (chunk: Buffer) => {
    try {
      read(chunk);
    } catch (error) {
      process.stderr.write(`${(error as Error).message}\n`);
      process.exit(1);
    }
  });
  // Whoever started this process is gone, or wants it to go.
  for (const event of ["end", "close", "error"]) socket.on(event, () => process.exit());
  // Signals go to whole groups of processes; the one that started this one decides what they mean.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
}

/** The batch goes to the process that takes this one's place: it may reach the device again, and this one cannot. */
function giveUp({ message }: DeviceLost): void {
  process.stderr.write(`error: ${message}\n`, () => process.exit(1));
}

function describeFailure(call: number, error: unknown): Failed {
  if (error instanceof UserError) return { call, message: error.lines, exitCode: error.exitCode };
  process.stderr.write(`${(error as Error).stack}\n`);
  return { call, message: [(error as Error).message], exitCode: null };
}

serve();
