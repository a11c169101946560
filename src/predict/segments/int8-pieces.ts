// The int8 pieces of a merged folder's version: its stored graphs, or on a processor that saturates products of 8 bits, graphs
// of the same weights cut to 7.

import type { Engine } from "../../engines/engine";
import { usageError } from "../../errors/errors";
import type { Pace } from "../../files/hash";
import { readRamps } from "../../merge/folder/blobs";
import { type Int8Wanted, readInt8Parts } from "../../merge/folder/int8-blobs";
import type { Contents, MergedTask } from "../../merge/folder/manifest";
import type { EncoderConfig } from "../../model/config";
import { familyOf } from "../../model/families/families";
import type { Stretch } from "../../model/stretches";
import type { WeightForm } from "../../settings/engine";
import type { Kind } from "../../tasks/kinds/kind";
import type { PieceSource, SegmentedTask } from "./pieces";
import { storedPieces } from "./stored";

interface Int8Model {
  readonly config: EncoderConfig;
  readonly tasks: readonly (SegmentedTask & { readonly kind: Kind })[];
  readonly pace?: Pace | undefined;
}

/**
 * null where float32 is to run: it was asked for, the version was not quantized, or the engine runs no int8.
 * @param pace awaited between the steps in which stored pieces are opened
 * @param asked by default int8 where it can be
 * @param saturates tells what the processor does; by default the engine tries it
 * Throws usageError (2) where int8 was asked for and there is none.
 */
export async function int8Pieces(
  engine: Engine,
  folder: string,
  manifest: Contents,
  { config, tasks, pace }: Int8Model,
  asked?: WeightForm,
  saturates = engine.saturates,
): Promise<PieceSource | null> {
  if (asked === "float32") return null;
  const { int8 } = manifest;
  if (!int8 || !engine.openGraph || engine.device === "gpu") {
    if (asked === undefined) return null;
    if (engine.device === "gpu")
      throw usageError("--weights int8 is the CPU's: a GPU runs float32. Leave --device out");
    throw int8
      ? usageError(`--weights int8 is the onnx engine's alone; ${engine.name} runs float32`)
      : usageError(`${folder} has no int8 weights. Run: flexbert quantize --merged ${folder}`);
  }
  const tooMany = (await saturates?.()) ?? false;
  const stored = tooMany ? null : storedPieces(engine, folder, manifest, "int8", pace);
  if (stored) return stored;
  const { loweredPieces } = await import("./lowered.js"); // loads tfjs
  const shares = familyOf(config).names.shared.length > 0;
  // Each from its own weights, which are let go again: of a version beside another only what is new is read.
  const lowered = async (wanted: Int8Wanted, ramps?: MergedTask) => {
    await pace?.();
    const tensors = await readInt8Parts(folder, int8, wanted);
    if (ramps?.exits) Object.assign(tensors, await readRamps(folder, ramps));
    await pace?.();
    return loweredPieces(engine, { config, tasks, tensors }, tooMany);
  };
  const stretch = async (of: Stretch) => {
    const pieces = await lowered({ embeddings: of.bottom || shares, layers: [of.from, of.to], branches: [] });
    return pieces.stretch(of);
  };
  const taskOf = (name: string) => manifest.tasks.find((known) => known.name === name);
  const ofTask = (name: string) =>
    lowered({ embeddings: shares && taskOf(name)?.fork !== null, layers: [0, 0], branches: [name] });
  const rampsOf = (name: string) => lowered({ embeddings: false, layers: [0, 0], branches: [] }, taskOf(name));
  return {
    stretch,
    branch: async (name) => (await ofTask(name)).branch(name),
    exits: {
      stretch,
      part: async (name, of) => (await ofTask(name)).exits.part(name, of),
      rest: async (name, from) => (await ofTask(name)).exits.rest(name, from),
      ramp: async (name, layer) => (await rampsOf(name)).exits.ramp(name, layer),
    },
  };
}
